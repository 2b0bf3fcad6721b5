"""A hub in the cloud from the functions' handlers down: DynamoDB and SQS in moto, ECS, S3 and EFS in the double."""

from datetime import timedelta

from functions.reaper import sweep as reaper
from functions.spawn import dispatch as spawn
from hubless.adapters.activity_readiness import ActivityReadiness
from hubless.adapters.ecs.events import read
from hubless.adapters.ecs.naming import ids_of
from hubless.domain.lifecycle import ACTIVE, Deadlines
from hubless.domain.tokens import launch_secret, sha256
from tests.support.dynamodb import Contents
from tests.support.ecs import Cloud
from tests.support.world import World

DEADLINES = Deadlines(launching=timedelta(minutes=5), starting=timedelta(minutes=2), stopping=timedelta(minutes=1))
SCHEDULED = {"detail-type": "Scheduled Event"}


class Replaced:
    """A launcher that may be another from now on: what a process kept in its memory is gone with it."""

    def __init__(self, make):
        self.make, self.now = make, make()

    def replace(self):
        self.now = self.make()

    def __getattr__(self, name):
        return getattr(self.now, name)


class CloudHub(World):
    """*sqs* is the queue; *others* are facts of the cloud."""

    def __init__(
        self, stores, sqs, *, idle_policy=None, seed=0, lag=4, describe_lag=3, longest_pause=None, profiles=(), **others
    ):
        def launcher(clock):
            self.cloud = Cloud(clock, seed, lag=lag, describe_lag=describe_lag, **others)
            return Replaced(self.cloud.launcher)

        self.sqs = sqs
        super().__init__(
            launcher=launcher,
            readiness=ActivityReadiness(),
            deadlines=DEADLINES,
            stores=stores,
            queue=sqs.queue,
            idle_policy=idle_policy,
            prepare_ahead=timedelta(days=120),
            longest_pause=longest_pause,
            spare_store=lambda _servers: stores.spares,
            profiles=profiles,
        )
        self.account, self.reported = self.cloud.account, set()
        self.read_event = lambda event: read(event, self.cloud.config)
        self.edge.look()

    # --- what the cloud does ---

    def handle_next(self):
        """Have the function handle a batch; what it did is deleted, what it did not stays hidden until it is shown."""
        records = self.sqs.receive()
        if not records:
            return False
        failed = {one["itemIdentifier"] for one in spawn.handle(self, {"Records": records})["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                self.sqs.delete(record)
        self.sqs.hide_claimed()
        return True

    def tell(self, event):
        spawn.handle(self, event)

    def tell_all(self):
        for event in self.account.take_news():
            self.tell(event)

    def sweep_once(self):
        return reaper.handle(self, SCHEDULED)

    def speak(self):
        """Let every running server report itself until the hub has its report, while its token is valid."""
        for task in self.account.running():
            launch_id, _ = ids_of(task)
            if task["lastStatus"] == "RUNNING" and launch_id not in self.reported:
                self.report(launch_id)

    def report(self, launch_id):
        token = self.tokens.find(sha256(launch_secret(b"k" * 32, launch_id)))
        server = token and self.servers.get(token.server_id)
        if server:
            owner = self.users.get(server.owner_id)
            self.activity.report(owner, None, {server.name: self.clock.now()}, by_server=server.id)
            self.reported.add(launch_id)

    def work(self, seconds, step=40):
        """Let *seconds* pass in which messages are handled and servers report; deliver no event."""
        for _ in range(0, seconds, step):
            self.clock.advance(timedelta(seconds=step))
            self.sqs.show()
            self.edge.look()
            while self.handle_next():
                pass
            self.speak()

    def forget(self):
        """Have the process end that ran until now."""
        self.launcher.replace()

    def aws(self):
        """Return all clients through which the hub's functions call AWS."""
        return [self.stores.database.client, self.sqs.clients.sqs, *self.cloud.clients()]

    def left_behind(self):
        """Return all that outlives the hub's processes."""
        account = self.account
        tasks = [(arn, task["lastStatus"], task["desiredStatus"]) for arn, task in account.tasks.items()]
        definitions = [(name, one["status"]) for name, revisions in account.definitions.items() for one in revisions]
        files = [(name, sorted(bucket.items())) for name, bucket in account.buckets.items()]
        messages = sorted(message.body for message in self.sqs.messages())
        return tasks, definitions, files, sorted(account.access_points), messages, sorted(Contents().read().items())

    # --- what must be true in the end ---

    def launches(self):
        return [ids_of(task)[0] for task in self.account.tasks.values()]

    def assert_settled(self):
        super().assert_settled()
        live = sorted(server.launch_id for server in self.servers.in_states(ACTIVE))
        assert sorted(self.cloud.launches_running()) == live
        assert (
            sorted({key.removeprefix("launches/school/").partition(".")[0] for key in self.account.secrets()}) == live
        )
        assert self.sqs.messages() == []
