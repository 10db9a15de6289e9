"""A checkpoint's answers for anybody's pictures and videos, drawn and written."""
