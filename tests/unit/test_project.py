"""The project's own promises: pinned versions, a current reference, tidy scripts."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from darkknowledge.overlays import lay
from darkknowledge.reference import reference
from darkknowledge.study import load_study

ROOT = Path(__file__).parents[2]


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^\s*(?:- )?([A-Za-z0-9_.-]+)==(\S+)", text, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


LOCK = pins((ROOT / "envs" / "requirements.lock").read_text())


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "envs").glob("*.yaml")))
def test_conda_environments_have_the_versions_of_the_lock(name):
    environment = yaml.safe_load((ROOT / "envs" / name).read_text())
    (listed,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    found = pins("\n".join(listed))
    assert len(found) == len(listed), "every package is pinned"
    assert found == {package: LOCK[package] for package in found}


def test_the_lock_has_all_that_is_asked_for():
    lines = (ROOT / "envs" / "requirements.in").read_text().splitlines()
    asked = [line.split("==")[0].lower() for line in lines if line and not line.startswith("#")]
    assert [name for name in asked if name not in LOCK] == []
    assert LOCK["torch"] == LOCK["torchaudio"] == "2.11.0"


def test_the_configuration_reference_is_current():
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), (
        "renew it: python -m darkknowledge.reference > docs/configuration.md"
    )


def test_every_option_is_described():
    for line in reference().splitlines():
        if line.startswith("| `"):
            assert line.split("|")[-2].strip(), f"no description: {line}"


def test_scripts_are_named_like_their_rules():
    rules = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for script in (ROOT / "scripts").glob("*.py"):
        assert f"rule {script.stem}:" in rules or f'code("{script.stem}")' in rules, script.name
        assert len(script.read_text().splitlines()) <= 80


def test_nothing_heavy_is_imported_by_the_workflow():
    for path in (ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")):
        assert not re.search(r"^\s*(import|from) (torch|numpy|pandas)", path.read_text(), re.M)


def spoken_by_the_code() -> list[str]:
    """All texts of the code, with … for what is put into them."""
    found = [(ROOT / name).read_text() for name in ("Makefile", "Snakefile")]
    for path in sorted((ROOT / "darkknowledge").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


SPOKEN = spoken_by_the_code()
FOREIGN = {"Error: Directory cannot be locked": "snakemake", "CUDA out of memory": "torch"}
TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"\*\*`([^`]+)`\*\*", TROUBLES)


@pytest.mark.parametrize("message", QUOTED)
def test_every_message_of_the_troubleshooting_is_one_of_the_code(message):
    if message in FOREIGN:
        return
    parts = [re.escape(part.strip()) for part in message.split("…") if part.strip(" :,;'")]
    pattern = re.compile(".*".join(parts), re.DOTALL)
    assert any(pattern.search(text) for text in SPOKEN), message


def test_the_studies_of_the_tutorial_are_studies():
    text = (ROOT / "docs" / "tutorial.md").read_text()
    files = re.findall(r"cat > (\S+) <<'END'\n(.*?)END\n", text, re.DOTALL)
    assert [name for name, _ in files] == ["first.yaml", "mine.yaml"]
    merged = yaml.safe_load((ROOT / "config.yaml").read_text())
    for _, content in files:
        merged = lay(merged, yaml.safe_load(content))
        study = load_study(merged)
        assert set(study.trained_runs) == set(study.tables["table1"].runs)
    assert len(study.tables["table1"].compared) == 2


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text()
    for link in re.findall(r"\]\((?!http|#)([\w./-]+)[)#]", text):
        assert (ROOT / "docs" / link).exists(), link
