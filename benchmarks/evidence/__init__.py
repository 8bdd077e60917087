"""Evidence on searched rewards: rows of equal cost, over start policies, by PREREGISTRATION.md."""
