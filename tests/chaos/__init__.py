"""Faults, by killing for real, under load: `ground` is what is struck, `faults` strike it, `load` and `clients` go on
meanwhile, and `judgement` says whether all that was promised is true afterwards. `schedule` draws what happens when.

`make chaos ROUNDS=20 SEED=1` plays random rounds; `test_chaos.py` is the short form.
"""
