"""How the page looks, and what the browser does for it by itself."""

from pathlib import Path

import gradio as gr

SYSTEM_FONTS = ("system-ui", "Hiragino Sans", "Yu Gothic UI", "Noto Sans JP", "Noto Sans CJK JP", "sans-serif")
HERE = Path(__file__).parent
# In the head, not as Gradio's `css`: that cuts selectors at each comma.
HEAD = "".join(
    f"<{tag}>{(HERE / name).read_text('utf-8')}</{tag}>" for tag, name in (("style", "look.css"), ("script", "look.js"))
)


def theme() -> gr.themes.Base:
    """Fonts that the visitor has: none is fetched."""
    fonts = [gr.themes.Font(name) for name in SYSTEM_FONTS]
    mono = [gr.themes.Font(name) for name in ("ui-monospace", "Consolas", "Noto Sans Mono CJK JP", "monospace")]
    # Darker than Gradio's own, for eyes that see less.
    return gr.themes.Default(primary_hue="red", neutral_hue="stone", font=fonts, font_mono=mono).set(
        body_text_color_subdued="*neutral_600",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_cancel_background_fill="*neutral_600",
        button_cancel_background_fill_hover="*neutral_700",
        button_cancel_text_color="white",
        slider_color="*primary_600",
    )
