"""The budget of memory that files are held to, and how sizes are read and written."""

import pytest

from snnergy.artefacts import budget
from snnergy.artefacts.errors import UserError


@pytest.mark.parametrize(
    ("text", "size"), [("1GiB", 1 << 30), ("512 mib", 512 << 20), ("1073741824", 1 << 30), ("1.5GiB", 3 << 29)]
)
def test_sizes(text, size, monkeypatch):
    monkeypatch.setenv(budget.VARIABLE, text)
    assert budget.memory() == size


@pytest.mark.parametrize("text", ["much", "-1GiB", "1e9", "12KiB", "nan"])
def test_what_is_no_size(text, monkeypatch):
    monkeypatch.setenv(budget.VARIABLE, text)
    with pytest.raises(UserError, match=r"SNNERGY_MEMORY .*such as 512MiB"):
        budget.memory()


def test_what_an_excess_is_told_helps(monkeypatch):
    monkeypatch.delenv(budget.VARIABLE, raising=False)
    budget.refuse_excess("a.nir", 1 << 29, share=0.5)
    with pytest.raises(UserError, match=r"needs 3\.5GiB of memory, 512\.0MiB are allowed.*to 7GiB or more") as refused:
        budget.refuse_excess("a.nir", 7 << 29, share=0.5)
    assert str(refused.value).startswith("a.nir: needs")
    monkeypatch.setenv(budget.VARIABLE, "7GiB")
    budget.refuse_excess("a.nir", 7 << 29, share=0.5)


def test_a_message_of_many_violations_is_short():
    error = UserError([f"node {i}: is wrong" for i in range(20_000)])
    assert len(error.violations) == 20_000
    assert str(error).splitlines() == [*error.violations[:10], "and 19990 more violations"]
    assert UserError(["a", "b"]).lines == ("a", "b")
