"""The built-in tools, confined to the working directory: a file each, and the `toolbox` by which a turn calls them."""
