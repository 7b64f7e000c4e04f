"""`jsd mcp` with the SDK's own client, over standard input and output."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult
from PIL import Image

from jsd import Pipeline, SamplingOptions
from jsd.cli import main
from jsd.images.saving import encode_image, save_image
from jsd.models.folder import ModelFolder
from jsd.options import OPTIONS
from jsd.serving.mcp import Artist, _fitting

TWO_STEPS = {"prompt": "猫", "num_inference_steps": 2}


def with_client(folder: Path, act: Callable[[Client], Awaitable[None]], *arguments: object) -> None:
    """`act` with a client of a server of its own, which must end when the client does."""

    async def run() -> None:
        words = ["-m", "jsd", "mcp", "--weights", str(folder), "--device", "cpu", *map(str, arguments)]
        named = {"PYTHONPATH": os.pathsep.join(sys.path), "JSD_LANG": "en", "OMP_WAIT_POLICY": "passive"}
        async with Client(StdioServerParameters(command=sys.executable, args=words, env=named)) as client:
            await act(client)

    asyncio.run(asyncio.wait_for(run(), 120))


def text(result: CallToolResult) -> str:
    return result.content[-1].text  # type: ignore[union-attr]


def picture(result: CallToolResult) -> Image.Image:
    assert not result.is_error, text(result)
    first: Any = result.content[0]
    assert (first.type, first.mime_type) == ("image", "image/png")
    return Image.open(BytesIO(base64.b64decode(first.data)))


def test_drawing_redrawing_and_what_cannot_be(toy_folder: Path, tmp_path: Path) -> None:
    expected = Pipeline.load(toy_folder, "cpu").generate(SamplingOptions(**TWO_STEPS, seed=5))[0]
    expected.save(tmp_path / "ours.png")
    save_image(expected.image, tmp_path / "theirs.png")
    save_image(expected.image, tmp_path / "by-another-vae.png", metadata=expected.metadata | {"vae": "kl"})

    async def act(client: Client) -> None:
        tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
        assert set(tools) == {"draw", "redraw", "describe"}
        assert tools["draw"]["required"] == ["prompt"]
        assert tools["draw"]["properties"]["width"]["default"] == 32, "the sizes are this model's"
        assert not {"loras", "disable_safety_checker"} & set(tools["draw"]["properties"])

        steps: list[tuple[float, float | None]] = []

        async def count(step: float, num_steps: float | None, message: str | None) -> None:
            steps.append((step, num_steps))

        drawn = await client.call_tool("draw", {**TWO_STEPS, "seed": 5}, progress_callback=count)
        assert picture(drawn).tobytes() == expected.image.tobytes()
        assert picture(drawn).info["parameters"].startswith("猫"), "its file must say what made it"
        assert "seed 5" in text(drawn) and steps == [(1, 2), (2, 2)]

        again = await client.call_tool("redraw", {"path": str(tmp_path / "ours.png")})
        assert picture(again).tobytes() == expected.image.tobytes()
        other = await client.call_tool("redraw", {"path": str(tmp_path / "by-another-vae.png")})
        assert "toy, VAE kl" in text(other) and "drew the file" not in text(again)
        styled = await client.call_tool("redraw", {"seed": 5, "style": "油絵", "guidance_scale": None})
        assert picture(styled).info["parameters"].startswith("猫 油絵") and "seed 5" in text(styled)
        two = await client.call_tool("draw", {**TWO_STEPS, "num_outputs": 2, "negative_prompt": "鯨"})
        assert [one.type for one in two.content] == ["image", "image", "text"] and "鯨" in text(two)

        for name, arguments, words in (
            ("draw", {}, "prompt"),
            ("draw", {**TWO_STEPS, "steps": 3}, "steps"),
            ("draw", {**TWO_STEPS, "seed": -1}, "seed must be"),
            ("draw", {**TWO_STEPS, "width": 33}, "width must be a multiple"),
            ("draw", {**TWO_STEPS, "image": str(tmp_path / "none.png")}, "image"),
            ("redraw", {"seed": 99}, "seed"),
            ("redraw", {}, "seed"),
            ("redraw", {"path": str(tmp_path / "theirs.png")}, "record"),
            ("paint", {}, "name"),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error and words in text(result), (name, arguments, text(result))

    with_client(toy_folder, act)


def test_no_file_switches_the_safety_checker_off(toy_folder: Path, tmp_path: Path) -> None:
    record = {"prompt": "猫", "seed": 3, "disable_safety_checker": True, "safety_threshold": 0.1, "model": "toy"}
    save_image(Image.new("RGB", (32, 32)), tmp_path / "a.png", metadata=record)
    options, _notes = Artist(ModelFolder(toy_folder), unloaded).recall({"path": str(tmp_path / "a.png")})
    assert (options.seed, options.disable_safety_checker, options.safety_threshold) == (3, False, 0)


def unloaded() -> Pipeline:
    raise AssertionError("nothing is drawn")


def test_what_the_model_is_and_pictures_that_are_kept(toy_folder: Path, tmp_path: Path) -> None:
    async def act(client: Client) -> None:
        said: Any = (await client.call_tool("describe")).structured_content
        assert said["model"] == "toy" and said["sizes"]["default"] == [32, 32] and "油絵" in said["styles"]
        assert said["concepts"] is None, "nobody can list what this model knows"
        assert set(said["options"]) < set(OPTIONS) and said["options"]["seed"]["maximum"] == 2**32 - 1
        result = await client.call_tool("draw", {**TWO_STEPS, "seed": 5})
        (file,) = result.structured_content["files"]  # type: ignore[index]
        assert Path(file).parent == tmp_path / "kept" and file in text(result)
        with Image.open(file) as kept:
            assert kept.tobytes() == picture(result).tobytes()

    with_client(toy_folder, act, "--output-dir", tmp_path / "kept")


def test_a_request_that_is_given_up_leaves_the_turn_to_the_next(toy_folder: Path) -> None:
    async def act(client: Client) -> None:
        is_drawn = asyncio.Event()

        async def begun(*_: object) -> None:
            is_drawn.set()

        long = {"prompt": "猫", "num_inference_steps": 500, "num_outputs": 4, "width": 64, "height": 64}
        asked = asyncio.create_task(client.call_tool("draw", long, progress_callback=begun))
        await is_drawn.wait()
        asked.cancel()
        result = await asyncio.wait_for(client.call_tool("draw", TWO_STEPS), 15)
        assert picture(result).size == (32, 32)

    with_client(toy_folder, act)


def test_a_folder_that_cannot_be_loaded_is_told_before_there_is_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mcp", "--weights", str(tmp_path)]) == 2
    assert "problem" in capsys.readouterr().err


def test_a_client_that_is_gone_ends_the_server_without_a_word(toy_folder: Path) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "gone", "version": "1"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    command = [sys.executable, "-m", "jsd", "mcp", "--weights", str(toy_folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdin is not None and server.stdout is not None and server.stderr is not None
        server.stdout.close()
        server.stdin.write(json.dumps(request).encode() + b"\n")
        server.stdin.close()
        said = server.stderr.read().decode()
    assert (said, server.returncode) == ("", 0)


def test_pictures_too_large_for_a_client_are_sent_as_webp_smaller_until_they_fit(tmp_path: Path) -> None:
    (drawn,) = Pipeline.load(None, "cpu").generate("猫", num_inference_steps=1, upscale=1)
    noise = replace(drawn, image=Image.effect_noise((512, 512), 90).convert("RGB"))
    png = encode_image(noise.image, tmp_path / "a.png")
    assert _fitting(noise, png, len(png)) == (png, "png")
    for limit, sides in ((len(png) - 1, (512, 512)), (20_000, None)):
        sent, kind = _fitting(noise, png, limit)
        with Image.open(BytesIO(sent)) as opened:
            assert (kind, opened.format) == ("webp", "WEBP") and len(sent) <= limit
            assert sides in (None, opened.size) and opened.width == opened.height
