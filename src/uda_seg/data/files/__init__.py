"""Bytes of pictures, folders of files and lists of names, before a dataset makes sense of them."""
