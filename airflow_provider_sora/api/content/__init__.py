"""Reading the bytes of a video: resumed after a broken connection, and checked before they count as complete."""
