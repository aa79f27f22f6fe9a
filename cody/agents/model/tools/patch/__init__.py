"""`apply_patch`: patches in the format that Codex models write.

`grammar` takes a patch apart, `matching` finds a hunk's place in a file, `editing` makes a file's new text of it, and
`tool` applies the whole patch or nothing of it.
"""
