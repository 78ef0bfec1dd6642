# %% [markdown]
# # Your own images
#
# The CNN-RNN core of danq also learns images, videos, sounds and texts. This notebook makes a folder of images and
# trains on it. Replace the folder by your own: one folder of images per class.

# %%
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from danq import vision

rng = np.random.default_rng(0)


def picture(kind: str) -> Image.Image:
    """A circle, square or cross of a random colour, size and position, with noise."""
    image = Image.fromarray(rng.integers(0, 60, (48, 64, 3), np.uint8))
    draw, (x, y), r = (
        ImageDraw.Draw(image),
        rng.integers([14, 14], [50, 34]),
        int(rng.integers(7, 12)),
    )
    colour = tuple(int(value) for value in rng.integers(120, 255, 3))
    if kind == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif kind == "square":
        draw.rectangle((x - r, y - r, x + r, y + r), fill=colour)
    else:
        draw.line((x - r, y - r, x + r, y + r), fill=colour, width=4)
        draw.line((x - r, y + r, x + r, y - r), fill=colour, width=4)
    return image


for kind in ("circle", "square", "cross"):
    folder = Path("images", kind)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(100):
        picture(kind).save(folder / f"{number}.png")

# %% [markdown]
# Classes are the names of the folders. danq keeps a tenth of each class for validation, and a tenth for the test.

# %%
_, data = vision.own_examples("images", "images", vision.InputSettings(size=(24, 32)))
print(data.metadata["classes"], len(data.train), len(data.valid), len(data.test))

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(6, 1.8), layout="constrained")
for axes, pixels in zip(figure.subplots(1, 5), data.test.rows(slice(0, 5))["image"], strict=True):
    axes.imshow(pixels.transpose(1, 2, 0))
    axes.axis("off")
figure

# %%
recipe = vision.Recipe(epochs=8, batch_size=16, lr=2e-3)
result = vision.train("image-classes", data=data, out="run-images", recipe=recipe, overwrite=True)
print(result.describe())

# %% [markdown]
# ## Evaluate and predict

# %%
evaluation = vision.evaluate("run-images", data)
print(evaluation.text())
assert evaluation.metrics["accuracy"] > 0.8

# %%
picture("cross").save("new.png")
print(*vision.predict("run-images", "new.png"), sep="\n")
