"""What a stranger may write into a spec: tables for test_hostile_specs.py and test_hostile_outputs.py."""

CANARY = "CANARY-of-a-file-outside-specs"

# Where a file is named; each must stay under specs/, and be read as nothing but a file's name.
REFERENCES = [
    "../secret.txt", "../secret.yaml#a", "prompts/../../secret.txt", "prompts//../../secret.txt", "./../secret.txt",
    "/etc/passwd", "/etc/hosts.txt", "//host/share/secret.txt", "/dev/zero", "/dev/stdin.txt", "/proc/self/environ",
    "C:\\secret.txt", "C:/secret.txt", "..\\secret.txt", "\\\\host\\share\\secret.txt", "C:secret.txt",
    "https://example.com/a.txt", "http://169.254.169.254/a.txt", "ftp://example.com/a.txt", "//example.com/a.txt",
    "file:///etc/hosts.txt", "file://secret.txt", "data:text/plain,a.txt", "hf://org/model/a.txt",
    "org/model", "org/model@main", "org/model/a.txt", "~/secret.txt", "~root/secret.txt", "$HOME/secret.txt",
    "${HOME}/secret.txt", "%USERPROFILE%/secret.txt", "{{ 7*7 }}.txt", "{% include 'secret.txt' %}", "${7*7}.txt",
    "$(touch pwned).txt", "`touch pwned`.txt", "|touch pwned .txt", "prompts/%2e%2e/%2e%2e/secret.txt", "secret.txt#",
    "a\0b.txt", "a\nb.txt", "a" * 5000 + ".txt", "pickle.pkl", "prompts/code.py", "!!python/name:os.system", "*.txt",
]  # fmt: skip

# Files, as bytes, each with the code of the mistake that it must give and its line.
FILES = {
    "python object": (b"title: !!python/object/apply:os.system ['touch pwned']\nexpect: []\n", "unsafe_tag", 1),
    "python new": (b"expect:\n  - !!python/object/new:os.system ['touch pwned']\n", "unsafe_tag", 2),
    "python name": (b"title: !!python/name:os.system\n", "unsafe_tag", 1),
    "python module": (b"\ntitle: !!python/module:antigravity\n", "unsafe_tag", 2),
    "python in full": (b"title: !<tag:yaml.org,2002:python/object/apply:os.system> ['id']\n", "unsafe_tag", 1),
    "ruby object": (b"title: !ruby/object:Gem::Installer {i: x}\n", "unsafe_tag", 1),
    "java object": (b"title: !!javax.script.ScriptEngineManager [a]\n", "unsafe_tag", 1),
    "include tag": (b"title: !include ../secret.txt\n", "unsafe_tag", 1),
    "environment tag": (b"title: !ENV ${HOME}\n", "unsafe_tag", 1),
    "binary tag": (b"title: !!binary aGVsbG8=\n", "unsafe_tag", 1),
    "set tag": (b"title: !!set {a, b}\n", "unsafe_tag", 1),
    "tag handle": (b"%TAG ! tag:yaml.org,2002:python/\n---\ntitle: !name:os.system x\n", "unsafe_tag", 3),
    "merge key": (b"a: &a {x: 1}\nb:\n  <<: *a\n", "merge_key", 3),
    "merge list": (b"a: &a {x: 1}\nb:\n  <<: [*a, *a]\n", "merge_key", 3),
    "alias of itself": (b"a: &a [*a]\n", "unknown_alias", 1),
    "duplicate key": (b"title: a\ntitle: b\n", "duplicate_key", 2),
    "duplicate key in quotes": (b"title: a\n'title': b\n", "duplicate_key", 2),
    "duplicate key escaped": (b'title: a\n"t\\x69tle": b\n', "duplicate_key", 2),
    "key is a mapping": (b"? {a: b}\n: c\n", "key_not_text", 1),
    "key is a number": (b"title: a\n7: c\n", "key_not_text", 2),
    "two documents": (b"title: a\n---\ntitle: b\n", "several_documents", 2),
    "latin-1": (b"title: a\nwhy: caf\xe9\n", "not_utf8", 2),
    "overlong slash": (b"title: a\nwhy: ..\xc0\xaf\n", "not_utf8", 2),
    "half a surrogate": (b"title: \xed\xa0\x80\n", "not_utf8", 1),
    "beyond Unicode": (b"title: \xf4\x90\x80\x80\n", "not_utf8", 1),
    "utf-8 BOM": (b"\xef\xbb\xbftitle: a\n", "byte_order_mark", 1),
    "utf-16": ("title: a\n".encode("utf-16"), "byte_order_mark", 1),
    "utf-32": ("title: a\n".encode("utf-32"), "byte_order_mark", 1),
    "utf-16 without BOM": ("title: a\n".encode("utf-16-le"), "nul", 1),
    "NUL": (b"title: a\nwhy: b\0c\n", "nul", 2),
    "NUL escaped": (b'prompts:\n  a:\n    - "b\\0c"\n', "nul", 3),
    "escape character": (b"title: a\nwhy: \x1b[2Jb\n", "bad_character", 2),
    "surrogate escaped": (b'title: a\nwhy: "\\ud800"\n', "yaml_syntax", 2),
    "line of code": (b"__import__('os').system('touch pwned')\n", "wrong_type", 1),
    "pickle": (b"\x80\x04\x95(\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94", "not_utf8", 1),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "not_utf8", 1),
    "unknown key": (b"title: a\nimport: os\nexpect: []\n", "unknown_key", 2),
    "jinja": (b"{% for x in y %}\ntitle: a\n{% endfor %}\n", "yaml_syntax", 1),
    "nested flow": (b"a: " + b"[" * 10_000, "too_deep", 1),
    "nested mappings": (b"a: " + b"{a: " * 10_000, "too_deep", 1),
    "nested blocks": (b"".join(b" " * i + b"a:\n" for i in range(200)), "too_deep", 31),
    "nested closed": (b"a: " + b"[" * 10_000 + b"]" * 10_000, "too_deep", 1),
    "many aliases": (b"a: &a x\nb: [" + b"*a," * 200 + b"]\n", "too_many_aliases", 2),
}  # fmt: skip

# Texts that are code to some other program. As a prompt each must be read as itself, letter by letter.
INERT = [
    "${HOME}", "$HOME", "~", "~root", "%PATH%", "%s%s%s%n", "$(id)", "`id`", "; id", "| id", "&& id", "{{ 7*7 }}",
    "{{ config }}", "{% import os %}", "{0.__class__}", "{text.__globals__}", "<%= 7*7 %>", "#{7*7}", "${jndi:ldap://h/a}",
    "!!python/object/apply:os.system [id]", "__import__('os').system('id')", "eval('1')", "=cmd|' /C calc'!A0",
    "org/model", "<script>alert(1)</script>", "::set-output name=a::b", "../secret.txt read me",
    "https://example.com x",
    "' OR 1=1; --", "\u202eabc", "a\ufeffbc", "\x1b[2J", "a\\x00b", "\U0001f600\u200d", "*a", "&a", "<<: x", "---", "?",
]  # fmt: skip

# Patterns that take 2^n or n^k steps in an engine that goes back, held against tokens of 64 letters.
PATTERNS = [
    "(a+)+b", "(a|a)*b", "(a|aa)+b", "([a-z]+)*1", "(.*a){20}b", "a*a*a*a*a*a*a*a*b", "(a?){60}a{60}b", "((a*)*)*b",
    "(x+x+)+y", r"(\s+)+x", r"(\w+\s?)*!", "(.+)+!",
    "^(([a-z])+.)+[A-Z]([a-z])+$", "(-+)+x",
]  # fmt: skip

# Patterns that RE2 refuses: a mistake in the file, not a crash.
REFUSED = [r"(a)\1", "(?=a)a", "(?<!b)a", "a{1001}", "((a{100}){100}){100}", "(", "a++", r"\8", "[z-a]", "(?P<a", "*"]
