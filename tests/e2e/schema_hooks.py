"""What schemathesis loads (SCHEMATHESIS_HOOKS): signs every request as it goes out, and names real objects in most of them."""

import json
import os
import random
import re
import time
import urllib.parse
import uuid

import base64
import hashlib
import hmac

import requests
import schemathesis

KEY_ID, KEY_SECRET = os.environ["SCHEMA_KEY_ID"], os.environ["SCHEMA_KEY_SECRET"]
# Ids that there are, by what they name.
OBJECTS = json.loads(os.environ["SCHEMA_OBJECTS"])
OURS = {"AccessKeyId", "SignatureMethod", "SignatureVersion", "signature_version", "SignatureNonce", "Timestamp", "Signature"}
RANDOM = random.Random(int(os.environ["SCHEMA_SEED"]))


def encode(text):
    return urllib.parse.quote(text, safe="-_.~", errors="surrogateescape")


def pairs(text):
    return urllib.parse.parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def noun(action, name):
    """What an id names: `GroupId` says it, of `Id` the action does."""
    said = re.match(r"(Group|Device|Channel|Stream|Template|Directory|Record)Id$", name)
    if said:
        return said.group(1)
    if name in ("Id", "ID", "InstanceId"):
        found = re.findall(r"Group|Device|Channel|Stream|Template|Directory|Record", action)
        return found[-1] if found else "Group"
    return None


class Signed(requests.auth.AuthBase):
    """Signature 1.0 over what is really sent."""

    def __call__(self, request):
        parts = urllib.parse.urlsplit(request.url)
        query = [(n, v) for n, v in pairs(parts.query) if n not in OURS]
        form = None
        body = request.body.decode("utf-8", "surrogateescape") if isinstance(request.body, bytes) else request.body
        if body and "form-urlencoded" in request.headers.get("Content-Type", ""):
            form = [(n, v) for n, v in pairs(body) if n not in OURS]
        action = next((v for n, v in query if n == "Action"), "")
        if RANDOM.random() < 0.75:
            query, form = self.real(action, query), form and self.real(action, form)
        query += [
            ("AccessKeyId", KEY_ID),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", uuid.uuid4().hex),
            ("Timestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
        ]
        every = sorted(query + (form or []))
        text = "&".join(f"{encode(n)}={encode(v)}" for n, v in every)
        text = f"{request.method}&%2F&{encode(text)}"
        digest = hmac.new((KEY_SECRET + "&").encode(), text.encode(errors="surrogateescape"), hashlib.sha1).digest()
        query.append(("Signature", base64.b64encode(digest).decode()))
        # Every action is a fragment of its own in the document; on the wire there is one path.
        request.url = f"{parts.scheme}://{parts.netloc}/?" + "&".join(f"{encode(n)}={encode(v)}" for n, v in query)
        if form is not None:
            request.body = "&".join(f"{encode(n)}={encode(v)}" for n, v in form)
            request.headers["Content-Length"] = str(len(request.body))
        return request

    def real(self, action, given):
        known = lambda name: OBJECTS.get(noun(action, name) or "")
        return [(n, RANDOM.choice(known(n)) if known(n) else v) for n, v in given]


@schemathesis.hook
def before_call(context, case, kwargs):
    kwargs["auth"] = Signed()
