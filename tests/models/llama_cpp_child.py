"""Answers token questions with llama.cpp, in a process of its own.

llama.cpp's server takes over signal handlers and opens a port; neither belongs in a test run.
Reads one JSON object a line ({"text", "special"}), writes the ids as one JSON list a line.
"""

import json
import sys
import urllib.request

import xllamacpp


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.port = 0
    params.ui = False
    params.warmup = False
    params.n_ctx = 256
    params.cache_ram_mib = 0
    params.verbosity = 0
    server = xllamacpp.Server(params)
    address = f"{server.listening_address}/tokenize"
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        body = {"content": question["text"], "parse_special": question["special"], "add_special": False}
        request = urllib.request.Request(
            address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            print(json.dumps(json.load(answer)["tokens"]), flush=True)
    del server


if __name__ == "__main__":
    main()
