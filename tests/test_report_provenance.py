"""What a number's provenance says, with and without git."""

import subprocess

from gan_forensics.report.provenance import commit, provenance


def test_without_git_there_is_no_commit_and_no_failure(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    assert commit() is None
    facts = provenance()
    assert facts["commit"] is None
    assert facts["gan_forensics"] and facts["jax"] and facts["hardware"]


def test_a_copy_inside_a_foreign_repository_has_no_commit(monkeypatch, tmp_path):
    someone = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    for command in (("init", "--quiet"), (*someone, "commit", "--quiet", "--allow-empty", "-mx")):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    (tmp_path / "provenance.py").touch()  # there, but not tracked
    monkeypatch.setattr("gan_forensics.report.provenance.__file__", str(tmp_path / "provenance.py"))
    assert commit() is None
