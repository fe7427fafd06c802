"""The page: what it shows, what it does, and in which words; the only home of Gradio."""
