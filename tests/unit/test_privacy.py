"""Contact data and keys in free text and links are masked (rule 13); order numbers are not."""

import pytest

from orderwatch.privacy import mask_contacts, strip_private
from orderwatch.trackstar.orders import Order

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
SIGNATURE = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d"
UUID = "550e8400-e29b-41d4-a716-446655440000"
ADMIN = "https://admin.example/orders/1042"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ada@example.com", "[e-mail]"),
        ("asked Ada.Lovelace+shop@mail.example.co.uk, no answer", "asked [e-mail], no answer"),
        ("<o'neil@example.com>", "<[e-mail]>"),
        ("mail to ada%40example.com", "mail to [e-mail]"),
        ("jürgen@bücher.example", "[e-mail]"),
        ("a@example.com;b@example.com", "[e-mail];[e-mail]"),
        ("hold: ada@example.com / +49 170 1234567", "hold: [e-mail] / [phone]"),
    ],
)
def test_an_email_address_in_free_text_is_masked(text: str, shown: str) -> None:
    assert mask_contacts(text) == shown


@pytest.mark.parametrize(
    "phone",
    [
        "+4915112345678",
        "+49 170 1234567",
        "+49 (0)30 123456-78",
        "+49\u00a0170\u20111234567",
        "+1 (555) 010-4477",
        "+1-555-010-4477",
        "+44 20 7946 0018",
        "+33 1 23 45 67 89",
        "(+49 170 1234567)",
        "\uff0b81 3 1234 5678",
        "0049 170 123 4567",
        "0049-170-1234567",
        "0049 (0)170 1234567",
        "0044 20 7946 0018",
        "tel: 4501234567",
        "tel:123456",
        "TEL 01 23 45 67 89",
        "Tel. 0170-1234567",
        "Tel. 01.23.45.67.89",
        "Tel. (030) 1234567",
        "Tel.-Nr.: 030/1234567",
        "Phone 01701234567",
        "phone no. 555-010-4477",
        "Mobile phone: 0170 1234567",
        "mobile: (555) 010-4477",
        "Mobil 0170 1234567",
        "Fax: 030 1234567",
        "WhatsApp 0170 1234567",
    ],
)
def test_a_phone_number_in_free_text_is_masked(phone: str) -> None:
    shown = mask_contacts(f"call back, {phone}, today")
    assert "[phone]" in shown
    assert not any(character.isdigit() for character in shown)
    assert shown.startswith("call back, ")
    assert shown.endswith(", today")


@pytest.mark.parametrize(
    ("number", "where"),
    [
        ("#1042", "Shopify"),
        ("1042", "WooCommerce"),
        ("2026-000123", "a year and a counter"),
        ("4501234567", "SAP: ten digits"),
        ("000000123", "Magento"),
        ("0004501234", "SAP with its leading zeros"),
        ("0042-1234567", "a branch and a counter"),
        ("114-1234567-1234567", "Amazon"),
        ("12-34567-89012", "eBay"),
        ("200011212345678", "Walmart"),
        ("SO-2026-03-000123", "Odoo"),
        ("R123456789", "Spree"),
        ("PO 4501234567/10", "a position"),
        ("1000-200-3000", "groups of four, three and four"),
        ("100-200-3000", "no area code begins with 1"),
        ("123-456-78901", "more than a phone's last group"),
        ("20260304091233", "a moment"),
        (UUID, "an UUID"),
        ("#1042-F1", "a part"),
        ("EU+1042", "a sum"),
        ("+1042", "too short"),
    ],
)
def test_an_order_number_is_not_masked_as_a_phone_number(number: str, where: str) -> None:
    assert mask_contacts(number) == number, where
    assert Order.of({"id": "o1", "status": "open", "order_number": number}).number == number


@pytest.mark.parametrize(
    "text",
    [
        "on hold",
        "Address verification failed",
        "2 @ 9.99",
        "ask @warehouse",
        "hotel 4501234567",
        "see tent@2x.jpg",
        "since 01.02.2026 10:30",
        "since 01/02/2026 10:30",
        "01/02/2026 10:30",
        "02-01-2026 10 30 15",
        "due 2026-03-04 09:12:33",
        "2026-03-04T09:12:33+01:00",
        "asked by phone 2026-03-04 09:12",
        "phone 01/02/2026 10:30",
        "by phone 12.05.26",
        "paid 1,234,567.89 EUR",
        "refund +12.345.678,90 EUR",
        "EAN 4006381333931",
        "retry 3 of 5, code 0012",
        "10.0.0.1:8080",
        "iPhone 15 128 256 512",
        # in doubt, so kept: an order number or a tracking number looks the same
        "200-555-1234",
        "order 555.010.4477",
        "555 010 4477",
        "1-555-010-4477",
        "(555) 010-4477",
        "(030) 1234567",
        "0170 1234567",
        "030/12345678",
        "020 7946 0018",
        "01 23 45 67 89",
        "00491701234567",
        # carriers' numbers, as they are printed
        "tracking 1Z999AA10123456784",
        "UPS 1Z 999 AA1 01 2345 6784",
        "JD01 4600 0073 1234 567",
        "JD01 4600 0073 1234 5678",
        "JJD 0003 9000 1234 5678 90",
        "9400 1000 0000 0000 0000 00",
        "00340434 1234 5678 9012 3",
        "00 340434 161094 012345",
        "0034 0434 1610 9401 2345",
        "(00) 3 4043416 109401234 5",
        "FedEx 7946 0018 1234",
        "RA 123 456 789 DE",
        "CP 0049 1234 567",
        "DPD 0150 5012 3456 78",
        "0012-345-678",
    ],
)
def test_text_without_contact_data_is_unchanged(text: str) -> None:
    assert mask_contacts(text) == text


def test_an_order_number_that_is_contact_data_is_not_used() -> None:
    for number in ("ada@example.com", "+49 170 1234567", " Tel. 0170-1234567 "):
        assert Order.of({"id": "o1", "status": "open", "order_number": number}).number == "o1"
    read = Order.of({"id": "o1", "status": "open", "order_number": "#1042 ada@example.com"})
    assert read.number == "#1042 [e-mail]"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (f"{ADMIN}?email=ada", ADMIN),
        (f"{ADMIN}?tab=2&customer=ada%40example.com&lang=en", f"{ADMIN}?tab=2&lang=en"),
        (f"{ADMIN}?contact=ada@example.com", ADMIN),
        (f"{ADMIN}?contact=%2B49+170+1234567", ADMIN),
        (f"{ADMIN}?phone=4501234567", ADMIN),
        (f"{ADMIN}?customer_name=Ada", ADMIN),
        (f"{ADMIN}?access_token=x", ADMIN),
        (f"{ADMIN}?accessToken=x", ADMIN),
        (f"{ADMIN}?apikey=x&id=7", f"{ADMIN}?id=7"),
        (f"{ADMIN}?api%5Fkey=x", ADMIN),
        (f"{ADMIN}?key=wc_order_9d1c", ADMIN),
        (f"{ADMIN}?hmac=x&X-Amz-Signature=x&X-Amz-Credential=x", ADMIN),
        (f"{ADMIN}?PHPSESSID=x&sid=x&pwd=x", ADMIN),
        (f"{ADMIN}?a={JWT}", ADMIN),
        (f"{ADMIN}?a={SIGNATURE}", ADMIN),
        (f"{ADMIN}?next=%2Forders%3Ftoken%3Dx", ADMIN),
        (f"{ADMIN}#access_token=x", ADMIN),
        (f"{ADMIN}#/orders/7?token=x", ADMIN),
        (f"{ADMIN}#ada@example.com", ADMIN),
        ("https://user:password@admin.example:8443/orders/1042", "https://admin.example:8443/orders/1042"),
    ],
)
def test_a_link_loses_only_keys_and_contact_data(url: str, kept: str) -> None:
    assert strip_private(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        ADMIN,
        f"{ADMIN}?v=1710000000&tab=lines",
        f"{ADMIN}?id={UUID}",
        f"{ADMIN}?sys_id=0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        f"{ADMIN}?post=1042&action=edit",
        f"{ADMIN}?keyword=tent&monkey=1&author=2&inside=3",
        f"{ADMIN}?slug=a-tent-for-2-persons-and-all-their-luggage-in-green",
        f"{ADMIN}?a=&b&&c=1",
        f"{ADMIN}#/orders/7",
        "https://admin.example/store/nordic/orders/2026-000123#lines",
        "https://cdn.example/tent_600x600@2x.jpg?v=17",
    ],
)
def test_a_link_without_keys_or_contact_data_is_unchanged(url: str) -> None:
    assert strip_private(url) == url


@pytest.mark.parametrize("url", ["https://admin.example/customers/ada@example.com", "https://[::1/orders"])
def test_a_link_with_contact_data_in_its_path_is_dropped(url: str) -> None:
    assert Order.of({"id": "o1", "status": "open", "external_system_url": url}).details.external_system_url is None
