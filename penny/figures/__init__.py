"""What calls come to: figures over a range of days, read from the sums that are kept of them."""
