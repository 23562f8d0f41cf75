"""Scripted calls run end to end on the virtual clock, and what they score.

Speaker and brain are scripted doubles: a speaker that says what the script has it say and does
what its context tells it, a Claude that finds what the script planted. The set measures the
machinery between them - what is in force when, what is said, what leaks - not the models.
"""
