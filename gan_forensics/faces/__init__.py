"""Faces in video: a wireframe, a camera, and a tracker of pose and animation."""
