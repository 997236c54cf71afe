"""Layer 4: the Gradio pages. One file a tab, each `build(services)`; only these and app.py know Gradio."""
