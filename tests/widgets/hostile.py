"""Texts that try to become markup, script or layout, for whatever shows texts of users in a page."""

from __future__ import annotations

import re

EXECUTED = "window.executed"
"""What every payload would set, were it to run."""

_RUN = f"{EXECUTED}=1"

MARKUP = [
    f"<script>{_RUN}</script>",
    f"<img src=x onerror={_RUN}>",
    f"<img src=x onerror='{_RUN}'//",
    f"<svg onload={_RUN}>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<body onload={_RUN}>",
    f"<iframe srcdoc='<script>parent.{_RUN.removeprefix('window.')}</script>'></iframe>",
    f'<iframe src="javascript:parent.{_RUN.removeprefix("window.")}"></iframe>',
    f"<details open ontoggle={_RUN}>x</details>",
    f"<input autofocus onfocus={_RUN}>",
    f"<video><source onerror={_RUN}></video>",
    f"<audio src=x onerror={_RUN}>",
    f'<object data="javascript:{_RUN}">',
    f'<embed src="javascript:{_RUN}">',
    f'<a href="javascript:{_RUN}">click</a>',
    f'<math><mi xlink:href="javascript:{_RUN}">x</mi></math>',
    f"</td></tr></table><script>{_RUN}</script>",
    f"</textarea><script>{_RUN}</script>",
    f"</style><script>{_RUN}</script>",
    f"</title><script>{_RUN}</script>",
    f"--><script>{_RUN}</script>",
    f"]]><script>{_RUN}</script>",
    f'" onmouseover="{_RUN}',
    f"' onmouseover='{_RUN}",
    f"` onmouseover=`{_RUN}",
    f'"><b onclick={_RUN}>',
    f"<scr\x00ipt>{_RUN}</scr\x00ipt>",
    f"<scr<script>ipt>{_RUN}</script>",
    f"%3Cscript%3E{_RUN}%3C/script%3E",
    f"&lt;script&gt;{_RUN}&lt;/script&gt;",
    f"&#60;script&#62;{_RUN}",
    f"\\u003cscript\\u003e{_RUN}",
    f"javascript:{_RUN}",
    f"data:text/html,<script>{_RUN}</script>",
    f"{{{{constructor.constructor('{_RUN}')()}}}}",
    f"${{{_RUN}}}",
    f"<% {_RUN} %>",
    "<style>*{display:none!important}</style>",
    "<base href=//example.invalid>",
    "<meta http-equiv=refresh content='0;url=//example.invalid'>",
    "<link rel=stylesheet href=//example.invalid>",
    "<form action=//example.invalid><input name=token></form>",
    "<!--",
    "<![CDATA[x]]>",
    "<plaintext>",
    "$x^2$ \\(y\\) $$z$$",
    "**bold** [link](//example.invalid) ![](x)",
    "=1+1",
]
LAYOUT = [
    "\u202eright to left override",
    "\u202dleft to right override\u202c",
    "\u2066isolate\u2069 \u2067isolate",
    "zero\u200bwidth\ufeffspace",
    "\u200fmark\u200e\u061c",
    "soft\u00adhyphen",
    "nul\x00 bell\x07 escape\x1b[31m",
    "line\u2028and\u2029paragraph",
    "tag\U000e0041\U000e0042 characters",
    "\x7f\x80\x9f",
    "مرحبا <script> שלום",
    "emoji \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "z" + "\u0301" * 60,
    "__proto__",
    "constructor",
    "",
    "   ",
    "a\nb\tc",
]
LONG = ["<b>" * 33_000, "x" * 100_000, "\u202e" * 100_000]

PAYLOADS = [*MARKUP, *LAYOUT, *LONG]
"""More than sixty."""

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def as_shown(text: str) -> str:
    """Return what a page has to show for a text: marks that hide or reorder are named by their code."""
    return _HIDDEN.sub(lambda found: _named(ord(found[0])), text)


def _named(code: int) -> str:
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
