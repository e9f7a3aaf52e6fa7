"""What starts the handlers in a simulated run: the Scheduler, the poll queue and the alert table's stream."""

import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orderwatch.alerts.alert import AlertKey
from orderwatch_local.simulator import Shop
from tests.simulation.cloud import ALERTS, HASHES, Message, Record, Shard, queue_event, stream_event
from tests.simulation.invocations import MAX_AT_ONCE

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

MAX_SHARDS = 16
SENDERS = MAX_SHARDS + MAX_AT_ONCE
"""Copies of publish_alerts: one for each shard, and some for batches that are handed over twice."""
STREAM_TRIES, STREAM_AGE = 10, 3600.0
BATCH = 1000
"""Records that a sender gets at once."""


class EventSources:
    """Starts the handlers with late, repeated and lost events."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run = run
        self._asked_summaries = 0
        self._senders = run.plan.shards
        self._records = 0

    def tick(self) -> None:
        """The Scheduler starts dispatch_polls."""
        if self._run.invocations.invoke("dispatch_polls", {}) is None:
            self._run.time.after(60.0, lambda: self._run.invocations.invoke("dispatch_polls", {}))
        if self._run.happens(self._run.plan.repeated_event):
            self._run.time.after(self._run.chance.uniform(0, 60), self.tick)

    def redrive(self) -> None:
        """The Scheduler starts redrive_alerts."""
        began = self._run.our_clock.now()
        answer = self._run.invocations.invoke("redrive_alerts", {})
        if self._run.is_calm and answer and not answer["unsent"]:
            self._run.quiet_hours.released(began)

    def sum_up(self) -> None:
        """The Scheduler starts send_summary; Lambda tries three times."""
        self._asked_summaries += 1
        for _ in range(3):
            self._run.summaries.begins(self._run.our_clock.now())
            answer = self._run.invocations.invoke("send_summary", {}, request=f"summary-{self._asked_summaries}")
            if answer is not None and not self._run.happens(self._run.plan.repeated_event):
                return

    def message_sent(self, group: str) -> None:
        self._run.time.after(self._delay(0.2, 500.0), lambda: self._deliver(group))

    def _delay(self, usual: float, late: float) -> float:
        return self._run.chance.uniform(0, late) if self._run.happens(self._run.plan.late_event) else usual

    def _deliver(self, group: str) -> None:
        message = self._run.queue.receive(group)
        if message is None:
            return
        if self._is_done(message) and not self._run.happens(self._run.plan.repeated_event):
            self._run.queue.delete(message)
            self._run.time.after(0.2, lambda: self._deliver(group))
        else:
            self._run.time.at(message.visible_at + 0.1, lambda: self._deliver(group))

    def _is_done(self, message: Message) -> bool:
        sent_at = self._run.our_clock.now() + timedelta(seconds=message.sent_at - self._run.time.seconds)
        event = queue_event(message, int(sent_at.timestamp() * 1000))
        answer = self._run.invocations.invoke("poll_orders", event, connection_id=message.group)
        return bool(answer is not None and not answer["batchItemFailures"])

    def poll_again(self, shop: Shop) -> None:
        """A second poll of a shop, as after a visibility timeout that is too short."""
        body = json.dumps({"connection_id": shop.connection_id})
        now = self._run.time.seconds
        self._is_done(Message(0, shop.connection_id, body, sent_at=now, visible_at=now))

    def alert_written(self, key: AlertKey) -> None:
        self._records += 1
        if self._run.happens(self._run.plan.late_event * 0.3):
            self._run.note(f"  the stream loses {key.alert_id}")
            return
        partition_key = getattr(key, self._run.tables.partition_key(ALERTS))
        hashed = zlib.crc32(partition_key.encode()) % HASHES
        shard = next(each for each in self._run.shards if hashed in each.hashes)
        if self._run.happens(self._run.plan.split) and self._senders < MAX_SHARDS:
            shard = self._split(shard, hashed)
        shard.records.append(Record(self._records, key, self._run.time.seconds))
        if not shard.is_awake:
            shard.is_awake = True
            self._run.time.after(self._delay(0.5, 5000.0), lambda: self._hand_over(shard))

    def _split(self, shard: Shard, hashed: int) -> Shard:
        children = shard.split(self._senders)
        self._senders += 1
        self._run.shards.remove(shard)
        self._run.shards += children
        self._run.note(f"the shard {shard.number} splits")
        return next(each for each in children if hashed in each.hashes)

    def _hand_over(self, shard: Shard) -> None:
        if not shard.may_begin:
            self._run.time.after(1.0, lambda: self._hand_over(shard))
            return
        for record in shard.drop(self._run.time.seconds, max_tries=STREAM_TRIES, max_age=STREAM_AGE):
            self._run.note(f"the stream gives up {record.key.alert_id}")
        if not shard.records:
            shard.is_awake = False
            return
        tries = shard.records[0].tries
        batch = list(shard.records)[: BATCH if self._run.is_calm else self._run.chance.choice((1, 3, BATCH))]
        answer = self._run.invocations.invoke("publish_alerts", stream_event(batch), sender=shard.number)
        self._after_batch(shard, batch, answer)
        self._run.time.after(min(2.0**tries, 60.0), lambda: self._hand_over(shard))

    def _after_batch(self, shard: Shard, batch: list[Record], answer: Any) -> None:
        if self._run.happens(self._run.plan.repeated_event):
            answer = None
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]} if answer else {str(batch[0].number)}
        first = min((int(number) for number in failed), default=None)
        while shard.records and shard.records[0].number <= batch[-1].number:
            if first is not None and shard.records[0].number >= first:
                shard.records[0].tries += 1
                return
            shard.records.popleft()

    def publish_pending(self) -> None:
        """Another sender gets some of the pending alerts: a batch of the stream that is delivered twice."""
        pending = [row for row in self._run.tables.all_rows(ALERTS) if row["state"] == "pending"][:5]
        keys = [AlertKey(row["connection_id"], row["alert_id"]) for row in pending]
        if keys:
            event = stream_event([Record(n, key, 0.0) for n, key in enumerate(keys)])
            running = sum(1 for each in self._run.running if each.function == "publish_alerts")
            self._run.invocations.invoke("publish_alerts", event, sender=MAX_SHARDS + running)
