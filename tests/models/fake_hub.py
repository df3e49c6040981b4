"""A hub of one's own: enough of the Hugging Face hub's HTTP interface to push a model to, and to fetch it from, at a pinned revision."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories in memory: every commit is a whole tree of files."""

    def __init__(self) -> None:
        self.trees: dict[str, dict[str, dict[str, bytes]]] = {}  # repository -> commit -> path -> content
        self.refs: dict[str, dict[str, dict[str, str]]] = {}  # repository -> "branches" or "tags" -> name -> commit
        self.large: dict[str, bytes] = {}  # SHA-256 -> content
        self.url = ""

    def create(self, repo: str) -> None:
        self.trees.setdefault(repo, {})
        self.refs.setdefault(repo, {"branches": {}, "tags": {}})
        if "main" not in self.refs[repo]["branches"]:
            self.commit(repo, {})

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        branches = self.refs[repo]["branches"]
        tree = {**self.trees[repo].get(branches.get("main", ""), {}), **files}
        digest = hashlib.sha1(json.dumps([repo, len(self.trees[repo]), sorted(tree)]).encode()).hexdigest()
        self.trees[repo][digest] = tree
        branches["main"] = digest
        return digest

    def resolve(self, repo: str, revision: str) -> str | None:
        refs = self.refs.get(repo, {"branches": {}, "tags": {}})
        found = refs["branches"].get(revision) or refs["tags"].get(revision) or revision
        return found if found in self.trees.get(repo, {}) else None


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            if parts[0] == "api":
                return self._about("/".join(parts[2:4]), parts[4:])
            repo, (kind, revision, *path) = "/".join(parts[:2]), parts[2:]
            commit = hub.resolve(repo, revision) if kind == "resolve" else None
            content = hub.trees[repo][commit].get("/".join(path)) if commit else None
            if content is None:
                return self._send({"error": "Entry not found"}, status=404, **{"X-Error-Code": "EntryNotFound"})
            return self._send(content, **{"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'})

        def do_HEAD(self) -> None:
            self.do_GET()

        def _about(self, repo: str, rest: list[str]) -> None:
            if repo not in hub.trees:
                return self._send({"error": "Repository not found"}, status=404, **{"X-Error-Code": "RepoNotFound"})
            if rest == ["refs"]:
                refs = {
                    kind: [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit} for name, commit in named.items()]
                    for kind, named in hub.refs[repo].items()
                }
                return self._send({**refs, "converts": []})
            revision = rest[1] if rest[:1] in (["revision"], ["tree"]) else "main"
            commit = hub.resolve(repo, revision)
            if commit is None:
                return self._send({"error": "Revision not found"}, status=404, **{"X-Error-Code": "RevisionNotFound"})
            files = hub.trees[repo][commit]
            if rest[:1] == ["tree"]:
                files = {path: content for path, content in files.items() if path.startswith("/".join([*rest[2:], ""]))}
                if not files:
                    return self._send({"error": "Entry not found"}, status=404, **{"X-Error-Code": "EntryNotFound"})
                return self._send([{"type": "file", "path": path, "size": len(files[path]), "oid": "0" * 40} for path in sorted(files)])
            names = [{"rfilename": path} for path in sorted(files)]
            return self._send({"id": repo, "modelId": repo, "sha": commit, "private": False, "tags": [], "siblings": names})

        def do_PUT(self) -> None:
            content = self._body()
            hub.large[hashlib.sha256(content).hexdigest()] = content
            self._send(b"")

        def do_POST(self) -> None:
            parts, body = urlsplit(self.path).path.strip("/").split("/"), self._body()
            if parts == ["api", "repos", "create"]:
                asked = json.loads(body)
                repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
                hub.create(repo)
                return self._send({"url": f"{hub.url}/{repo}", "id": repo, "name": repo})
            if parts[:2] == ["api", "validate-yaml"]:
                return self._send({"errors": [], "warnings": []})
            if parts[-1] == "batch":
                objects = [
                    {
                        "oid": one["oid"],
                        "size": one["size"],
                        "actions": {"upload": {"href": f"{hub.url}/upload/{one['oid']}", "header": {}}},
                    }
                    for one in json.loads(body)["objects"]
                ]
                return self._send({"transfer": "basic", "objects": objects}, **{"Content-Type": "application/vnd.git-lfs+json"})
            repo, verb = "/".join(parts[2:4]), parts[4]
            if verb == "preupload":
                files = [
                    {"path": one["path"], "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular", "shouldIgnore": False}
                    for one in json.loads(body)["files"]
                ]
                return self._send({"files": files})
            return self._commit(repo, [json.loads(line) for line in body.splitlines() if line.strip()])

        def _commit(self, repo: str, lines: list[dict]) -> None:
            files = {}
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = (
                        base64.b64decode(value["content"]) if value["encoding"] == "base64" else value["content"].encode()
                    )
                elif line["key"] == "lfsFile":
                    files[value["path"]] = hub.large[value["oid"]]
            commit = hub.commit(repo, files)
            self._send({"success": True, "commitOid": commit, "commitUrl": f"{hub.url}/{repo}/commit/{commit}"})

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

        def _send(self, content: object, *, status: int = 200, **headers: str) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


@contextmanager
def running_hub() -> Iterator[Hub]:
    """The hub, listening on this machine alone."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
