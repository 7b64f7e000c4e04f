"""Speed and memory, side by side with diffusers' own pipeline."""
