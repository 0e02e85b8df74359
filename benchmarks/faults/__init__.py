"""How many porting faults the equivalence kit finds, and how many false alarms it gives; no case is timed."""

CASES = ()
