"""Black-box tests; a package, as the services that its folders share end with the last of their tests."""
