"""Which network is the right one: many trainings, what each costs, and what they teach."""
