from pathlib import Path

from gateway.ops.page import files as module
from gateway.ops.page.files import FILES, INDEX, content, fields


def test_all_files_of_the_page_are_sent_with_their_type() -> None:
    folder = Path(module.__file__).with_name("static")
    assert {file.name for file in folder.iterdir()} == {INDEX, *FILES}
    for name in (INDEX, *FILES):
        assert content(name) == (folder / name).read_bytes()
        assert fields(name)["Content-Type"].split(";")[0] in {
            "text/html",
            "text/css",
            "text/javascript",
            "image/svg+xml",
        }
    assert sum(len(content(name)) for name in FILES) < 64_000
