//! Which characters the installed fonts can draw.
