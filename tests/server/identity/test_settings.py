"""Settings of issuers: what a file may say, and how it is told what is wrong."""

from pathlib import Path

import pytest

from configsvc_server.identity.settings import AuthFileError, is_safe_url, load_auth_file

WHOLE = """
[[issuers]]
name = "corp"
issuer = "https://login.example.com"
client_id = "configsvc"
client_secret_file = "secret"
groups_claim = "groups"

[[issuers.rules]]
claims = { groups = "platform" }
role = "admin"

[[issuers]]
name = "github"
issuer = "https://token.actions.githubusercontent.com"
kind = "workload"
audiences = ["https://config.example.com"]
actor = "{repository}@{ref}"

[[issuers.rules]]
claims = { repository = "acme/shop", ref = "refs/heads/*" }
role = "releaser"
application = "shop"
environment = "prod"
"""

GITHUB = """
[[issuers]]
name = "github"
issuer = "https://token.actions.githubusercontent.com"
kind = "workload"
audiences = ["us"]
[[issuers.rules]]
role = "reader"
claims = {claims}
"""


def mistakes(tmp_path: Path, text: str) -> str:
    path = tmp_path / "auth.toml"
    path.write_text(text)
    with pytest.raises(AuthFileError) as caught:
        load_auth_file(path)
    return str(caught.value).replace(str(tmp_path), "")


def test_a_file_is_read_with_paths_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "auth.toml").write_text(WHOLE)

    corp, github = load_auth_file(tmp_path / "auth.toml").issuers

    assert corp.client_secret_file == tmp_path / "secret"
    assert github.rules[0].claims == {"repository": "acme/shop", "ref": "refs/heads/*"}
    assert github.rules[0].environment == "prod"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[issuers]", "/auth.toml: is not TOML: "),
        ("[[issuers]]\nname = 'corp'\n", "/auth.toml: issuers[0].issuer: is missing"),
        ("issuer = 1\n", "/auth.toml: issuer: is no setting"),
        (
            "[[issuers]]\nname = 'token'\nissuer = 'https://a.example'\nclient_id = 'c'\n",
            "issuers[0].name: must not be 'token', which begins other names",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'http://a.example'\nclient_id = 'c'\n",
            "issuers[0].issuer: must be an https URL without user, query and fragment",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\nkind = 'workload'\n",
            "issuers[0]: audiences must not be empty for workloads",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\n",
            "issuers[0]: client_id or audiences must be given for persons",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\nclient_id = 'c'\n"
            "client_secret_file = 'nowhere'\n",
            "issuers[0].client_secret_file: must be a file that there is",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\nclient_id = 'c'\n"
            "rules = [{claims = {}, role = 'admin'}]\n",
            "issuers[0].rules[0].claims: ",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\nclient_id = 'c'\n"
            "rules = [{claims = {a = 'b'}, role = 'owner'}]\n",
            "issuers[0].rules[0].role: ",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\nclient_id = 'c'\n"
            "rules = [{claims = {a = 1.5}, role = 'admin'}]\n",
            "issuers[0].rules[0].claims.a: ",
        ),
        (
            2 * "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\nclient_id = 'c'\n",
            "issuers must differ in name: a is there twice",
        ),
    ],
)
def test_a_mistake_is_a_line_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in mistakes(tmp_path, text)


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    text = "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\nclient_secret = 'hunter2'\n"

    told = mistakes(tmp_path, text)

    assert "issuers[0].client_secret: is no setting" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "claims", ['{ ref = "refs/heads/main" }', '{ repository = "*" }', '{ sub = ["repo:a/b", "*"] }']
)
def test_a_rule_for_everybody_at_a_public_issuer_is_a_mistake(tmp_path: Path, claims: str) -> None:
    assert "must say whose token it is" in mistakes(tmp_path, GITHUB.replace("{claims}", claims))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example", True),
        ("http://localhost:1", True),
        ("http://127.0.0.1.example.com", False),
        ("http://a.example", False),
        ("https://u:p@a.example", False),
        ("https://a.example?x", False),
        ("file:///etc/passwd", False),
        ("https://[", False),
        ("https://a.example:x", False),
    ],
)
def test_urls_are_safe_by_tls_or_on_this_machine(url: str, expected: bool) -> None:
    assert is_safe_url(url) is expected
