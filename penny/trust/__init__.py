"""Who may talk to Penny and how much: keys, tenants, limits, and the store gateways share."""
