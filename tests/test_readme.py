"""README's Python example says what really happens."""

import doctest
import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_example_runs():
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), flags=re.M | re.S)
    assert len(blocks) == 1
    example = doctest.DocTestParser().get_doctest(blocks[0], {}, "README.md", str(README), 0)
    assert len(example.examples) >= 10
    assert doctest.DocTestRunner().run(example).failed == 0


def test_every_file_of_the_table_exists():
    root = README.parent
    for layer, names in re.findall(r"^\| (\d) \| ((?:`[^|]+` ?)+) \|", README.read_text(), flags=re.M):
        for name in re.findall(r"`([^`]+)`", names):
            files = [*root.glob(f"cpp/{name}.cpp"), *root.glob(f"pyregions/{name.rstrip('/*')}*")]
            assert files, (layer, name)
