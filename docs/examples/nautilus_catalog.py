"""Ticks of a `tickhouse export` into a catalog of nautilus_trader.

    python nautilus_catalog.py EXPORT_FOLDER CATALOG_FOLDER INFY NSE

The catalog's own files hold prices as fixed-point numbers, with the precision in their metadata, which differs between builds of
nautilus_trader; so its own writer makes them, day by day. `depth` and trades are written the same way with their wranglers.
Tried with nautilus_trader 1.221.0, Python 3.11.
"""

import sys
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.enums import CurrencyType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler

INR = Currency("INR", 2, 356, "Indian rupee", CurrencyType.FIAT)


def equity(symbol, exchange, tick="0.05"):
    """The instrument; tick size and lot size of others stand in the table `instruments`."""
    return Equity(
        instrument_id=InstrumentId(Symbol(symbol), Venue(exchange)),
        raw_symbol=Symbol(symbol),
        currency=INR,
        price_precision=2,
        price_increment=Price.from_str(tick),
        lot_size=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
    )


def quotes(folder, day, symbol, exchange):
    """Best bid and ask of a day, at the instants at which they were received."""
    columns = ["timestamp", "bid_1_price", "ask_1_price", "bid_1_quantity", "ask_1_quantity"]
    wanted = (ds.field("symbol") == symbol) & (ds.field("exchange") == exchange) & (ds.field("packet_type") == "full")
    table = ds.dataset(sorted(folder.glob(f"tick_data/{day}/**/*.parquet"))).to_table(columns=columns, filter=wanted)
    frame = table.to_pandas()
    frame.columns = ["timestamp", "bid_price", "ask_price", "bid_size", "ask_size"]
    frame = frame[(frame.bid_price > 0) & (frame.ask_price > 0)].set_index("timestamp").sort_index(kind="stable")
    frame.index = pd.DatetimeIndex(frame.index).as_unit("ns")
    return frame.astype("float64")


def main(folder, catalog, symbol, exchange):
    catalog = ParquetDataCatalog(catalog)
    instrument = equity(symbol, exchange)
    catalog.write_data([instrument])
    written = 0
    for day in sorted(path.name for path in Path(folder).glob("tick_data/date=*")):
        ticks = QuoteTickDataWrangler(instrument).process(quotes(Path(folder), day, symbol, exchange))
        if ticks:
            catalog.write_data(ticks)
            written += len(ticks)
    print(f"{written} quotes of {instrument.id}")


if __name__ == "__main__":
    main(*sys.argv[1:])
