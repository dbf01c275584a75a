"""From a finished recording to the store, and word of it to the lesson app."""
