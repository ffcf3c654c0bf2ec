"""Addresses as text: read what was typed, check it, write it in one form; and which IP addresses are public.

An address is read as a browser reads it (the WHATWG URL standard) where browsers agree, and refused where parsers are
known to differ about the host: user info, a backslash after the host, control characters. Nothing is looked up here.
"""

import ipaddress
import re
from urllib.parse import unquote_to_bytes, urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_LENGTH = 8192  # characters, before and after it is normalised
MAX_HOST = 253  # RFC 1035, without a final dot
MAX_LABEL = 63
DEFAULT_PORTS = {"http": 80, "https": 443}

# What pasting leaves around an address; a superset of what a browser trims, without the control characters.
_WHITE = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_WHITE += "\u2028\u2029\u202f\u205f\u3000\ufeff"
_WHITE += "\u200b\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # of no width
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BREAK = re.compile(r"[\t\n\r]")  # browsers drop these anywhere in an address
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\.?|localhost):[0-9]*(?=[/?#]|\Z)", re.ASCII | re.I)
_OTHER_SCHEME = re.compile(r"[^/?#\\]*:[/\\]{2}")  # in other letters, which a host's mapping would make a name of
_LABEL = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)  # underscores are no host names, and yet good addresses have them
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_PATH_ESCAPES = re.compile(r'[^\x21-\x7e]|["#<>?^`{}]')
_QUERY_ESCAPES = re.compile(r"[^\x21-\x7e]|[\"#<>']")


class InvalidURL(ValueError):
    """The address cannot be used; the message is a sentence that says why."""


def normalise(text: str) -> str:
    """The address in one form, ASCII only: scheme, host, port unless it is the default, path and query.

    ``https`` is meant where no scheme is given; the fragment is dropped. Raises InvalidURL, and nothing else.
    """
    if not isinstance(text, str):
        raise InvalidURL("The address must be a string.")
    scheme, rest = _split_scheme(_checked(text))
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    if tail.startswith("\\"):
        raise InvalidURL("The address has a backslash after its host, which programs read differently.")
    if "@" in authority:
        raise InvalidURL("The address has a user name or password, which is not accepted.")
    host, port = _split_port(authority)
    host = _host(host)
    number = _port(port, DEFAULT_PORTS[scheme])
    path, mark, query = tail.partition("#")[0].partition("?")
    url = f"{scheme}://{host}" + ("" if number == DEFAULT_PORTS[scheme] else f":{number}")
    url += _path(path) + mark + _QUERY_ESCAPES.sub(_escape, query)
    if len(url) > MAX_LENGTH:
        raise InvalidURL(f"The address is longer than {MAX_LENGTH} characters.")
    return url


def join(base: str, location: str) -> str:
    """Where a redirect's ``location``, relative or not, leads from a normalised ``base``. Raises InvalidURL.

    It is read as the WHATWG's standard reads it, odd slashes included: ``///host/`` and ``http:\\\\host`` name a host.
    """
    location = _checked(_BREAK.sub("", location.strip(_WHITE)), empty_too=True)
    before, mark, after = re.split(r"([?#]|\Z)", location, maxsplit=1)
    if any("@" in part.partition("\\")[2] for part in before.split("/")):  # http://a\@b is at a for a browser alone
        raise InvalidURL("The address has a backslash and an @, which programs read differently.")
    location = before.replace("\\", "/") + mark + after
    parts = urlsplit(base)
    if found := _SCHEME.match(location):
        scheme, location = found[1].lower(), location[found.end() :]
        if scheme not in DEFAULT_PORTS:  # here example.com:80 is a scheme, as for a browser
            raise InvalidURL("Only http and https addresses are fetched.")
        if scheme != parts.scheme:
            return normalise(f"{scheme}://{location.lstrip('/')}")
    origin = f"{parts.scheme}://{parts.netloc}"
    if location.startswith("//"):
        return normalise(f"{parts.scheme}://{location.lstrip('/')}")
    if location[:1] in ("", "#"):
        return base
    if location[0] == "/":
        return normalise(origin + location)
    if location[0] == "?":
        return normalise(origin + parts.path + location)
    return normalise(f"{origin}{parts.path.rpartition('/')[0]}/{location}")


def host(url: str) -> str:
    """The host of a normalised address: a name, or an IP address without brackets."""
    return urlsplit(url).hostname or ""


def literal(name: str) -> IPAddress | None:
    """The IP address that a normalised host is, or None if it is a name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _checked(text: str, *, empty_too: bool = False) -> str:
    text = text.strip(_WHITE)
    if not text and not empty_too:
        raise InvalidURL("The address is empty.")
    if len(text) > MAX_LENGTH:
        raise InvalidURL(f"The address is longer than {MAX_LENGTH} characters.")
    if _CONTROL.search(text):
        raise InvalidURL("The address has a control character, such as a line break, in it.")
    if _SURROGATE.search(text):
        raise InvalidURL("The address is not valid Unicode.")
    return text


def _split_scheme(text: str) -> tuple[str, str]:
    """The scheme, and what follows ``//``."""
    found = _SCHEME.match(text)
    if found and found[1].lower() in DEFAULT_PORTS:
        rest = text[found.end() :]
        if not rest.startswith("//"):
            raise InvalidURL(f"After {found[1].lower()}: two slashes and a host are expected.")
        return found[1].lower(), rest[2:]
    if (found and not _HOST_AND_PORT.match(text)) or _OTHER_SCHEME.match(text):
        raise InvalidURL("Only http and https addresses are fetched.")
    if text[0] in "/\\?#":
        raise InvalidURL("The address has no host.")
    return "https", text


def _split_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        name, bracket, after = authority.partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise InvalidURL("The address has a bracket without its other half.")
        return name + bracket, after[1:]
    name, _, port = authority.partition(":")
    return name, port


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if re.fullmatch(r"0*[0-9]{1,5}", text, re.ASCII) and 0 < int(text[-5:]) < 65536:
        return int(text[-5:])
    raise InvalidURL("The address has a port that is not a number from 1 to 65535.")


def _host(text: str) -> str:
    """A host as it is looked up and compared: an IP address, or lower-case ASCII labels without a final dot."""
    if not text:
        raise InvalidURL("The address has no host.")
    if text.startswith("["):
        return f"[{_ipv6(text[1:-1])}]"
    try:
        name = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidURL("The host of the address is not valid UTF-8.") from None
    name = name.lower() if name.isascii() else _mapped(name)
    name = name.removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_HOST or any(len(label) > MAX_LABEL for label in labels):
        raise InvalidURL("The host of the address is longer than a host name may be.")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidURL("This does not look like a web address: its host is not a host name.")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    for label in labels:
        if label.startswith("xn--"):
            _check_punycode(label)
    return name


def _ipv6(text: str) -> str:
    if "%" in text:
        raise InvalidURL("The address has a zone id, which only means something on one machine.")
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise InvalidURL("What stands in brackets is not an IPv6 address.") from None


def _ipv4(labels: list[str]) -> str:
    """Decimal, octal, hexadecimal and shortened forms, all of which a browser and the C library take as addresses."""
    try:
        numbers = [_number(label) for label in labels]
        if len(numbers) > 4 or any(number > 255 for number in numbers[:-1]):
            raise ValueError
        last = numbers[-1].to_bytes(5 - len(numbers), "big")
    except (ValueError, OverflowError):
        raise InvalidURL("The host of the address is a number, but not an IPv4 address.") from None
    return str(ipaddress.IPv4Address(bytes(numbers[:-1]) + last))


def _number(label: str) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    if not (label.isascii() and label.isdigit()):
        raise ValueError
    return int(label, 8) if label.startswith("0") else int(label)


def _mapped(name: str) -> str:
    """A name with other letters in ASCII, by UTS 46 as browsers apply it (emoji too, which IDNA 2008 alone refuses)."""
    import idna  # 0.1 s, and most addresses do without

    try:
        mapped: str = idna.uts46_remap(name, std3_rules=False)
        return ".".join(label if label.isascii() else _to_ascii(label) for label in mapped.split("."))
    except ValueError:  # every error of idna and of the codecs is one
        raise InvalidURL("The host of the address is not a valid international name.") from None


def _to_ascii(label: str) -> str:
    """A mapped label in Punycode. Raises ValueError if UTS 46 forbids it."""
    import idna

    if len(label) > MAX_LABEL:
        raise ValueError
    idna.check_nfc(label)
    idna.check_initial_combiner(label)
    idna.check_bidi(label)
    joiners = (place for place, letter in enumerate(label) if letter in "\u200c\u200d")
    if label.startswith("xn--") or not all(idna.valid_contextj(label, place) for place in joiners):
        raise ValueError
    return "xn--" + label.encode("punycode").decode("ascii")


def _check_punycode(label: str) -> None:
    """Refuse a label that only pretends to be an international one: it must be what its own letters are written as."""
    import idna

    try:
        letters = label[4:].encode("ascii").decode("punycode")
        genuine = not letters.isascii() and idna.uts46_remap(letters, std3_rules=False) == letters
        if genuine and _to_ascii(letters) == label:
            return
    except ValueError:
        pass
    raise InvalidURL("The host of the address is not a valid international name.")


def _path(text: str) -> str:
    """A path with its dot segments resolved and what is not allowed in it escaped."""
    segments: list[str] = []
    dots = ""
    for segment in text.replace("\\", "/").split("/")[1:]:
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del segments[-1:]
        elif dots != ".":
            segments.append(segment)
    if dots in (".", ".."):  # these name a folder, whose address ends in a slash
        segments.append("")
    return "/" + _PATH_ESCAPES.sub(_escape, "/".join(segments))


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


_IPV6_PUBLIC = ipaddress.IPv6Network("2000::/3")  # all that is given out to the internet; the rest is special

# What is not public, and the word for it in a sentence. Python's is_private and is_global let some of these through.
_SPECIAL: tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...] = tuple(
    (ipaddress.ip_network(network), word)
    for network, word in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "a relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "this host"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in another form"),
        ("64:ff9b::/96", "an IPv4 address in another form"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "an IPv4 address in another form"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "for documentation"),
    )
)


def special(address: IPAddress) -> str | None:
    """None for a public address, else a word for its kind, such as ``loopback``."""
    for network, word in _SPECIAL:
        if address in network:
            return word
    if address.version == 6 and (address not in _IPV6_PUBLIC or address.scope_id is not None):
        return "reserved"
    return None
