"""Any JSON value, with the fields of the vendor's orders."""

from hypothesis import strategies as st

from orderwatch.trackstar.orders import LineItem, Order, OrderDetails
from orderwatch.trackstar.shipments import Shipment

FIELDS = sorted(
    {name for model in (Order, OrderDetails, LineItem, Shipment) for name in model.model_fields}
    | {"order_number", "raw_status", "shipments", "shipping_groups"}
)
"""Of orders, their lines and their shipments."""
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner),
    max_leaves=20,
)
