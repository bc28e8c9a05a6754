"""The identity of a policy: a digest of its rules and options, equal on every machine."""

import hashlib

from townlet_core.dto.action import PolicyIdentity
from townlet_core.jsonvalue import JsonObject, canonical_json


def identify(name: str, rules_version: int, options: JsonObject) -> PolicyIdentity:
    """Return the identity of a policy, from its options and the version of its rules.

    Args:
        name: the provider's name.
        rules_version: raised by hand whenever the same input would give another answer.
        options: the validated options as JSON.
    """
    text = canonical_json({"policy": name, "rules": rules_version, "options": options})
    return PolicyIdentity(name, hashlib.sha256(text).hexdigest())
