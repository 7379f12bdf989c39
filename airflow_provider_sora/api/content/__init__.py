"""Reading the bytes of a video: resumed where they break off, and checked before they are called whole."""
