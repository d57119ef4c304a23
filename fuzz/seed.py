#!/usr/bin/env python3
"""Fills fuzz/corpus/ from the vectors of the tests: one file for each XML message in them."""
import json
import pathlib

here = pathlib.Path(__file__).resolve().parent
vectors = json.loads((here.parent / "tests/data/wechat_vectors.json").read_text())["vectors"]


def messages(value):
    if isinstance(value, str) and value.lstrip("\ufeff \n").startswith("<"):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from messages(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from messages(inner)


for target in ("xml", "notification", "answers"):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for vector in vectors:
        for nth, text in enumerate(messages(vector)):
            (folder / f"{vector['id']}-{nth}").write_bytes(text.encode())
            count += 1
    print(target, count)
