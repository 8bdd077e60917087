"""The search for rewards: proposers, the meta-reward, the meta-optimizer, comparisons."""
