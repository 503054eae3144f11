"""moto's server, with what moto 5.2.1 lacks of S3, Glue and Athena for this lake.

Prints the port it listens on as its first line of stdout, and ends when its stdin does: nobody has to look for it afterwards.

Each patch says what the real service does. moto's own Athena says SUCCEEDED to any text and is never used for SQL.
"""

import copy
import json
import os
import sys
import threading

from moto.athena.responses import AthenaResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.glue.models import FakeTable
from moto.glue.responses import GlueResponse
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.exceptions import MissingKey, NoSuchUpload, PreconditionFailed
from moto.s3.responses import S3Response
from moto.sqs.models import Queue
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException
from moto.stepfunctions.responses import StepFunctionResponse
from werkzeug.serving import WSGIRequestHandler, make_server

S3_WRITES = threading.Lock()
GLUE_WRITES = threading.Lock()


def patch_s3():
    """A conditional write looks and writes in one step; moto does it in two, with other requests in between."""
    put_object = S3Response.put_object
    post_to_key = S3Response._key_response_post

    def put_object_alone(self):
        with S3_WRITES:
            return put_object(self)

    def post_to_key_alone(self, request, body, bucket_name, query, key_name):
        with S3_WRITES:
            if query.get("uploadId"):
                check_complete(self, request, bucket_name, query["uploadId"][0], key_name)
            return post_to_key(self, request, body, bucket_name, query, key_name)

    S3Response.put_object = put_object_alone
    S3Response._key_response_post = post_to_key_alone


def check_complete(response, request, bucket_name, upload_id, key_name):
    """CompleteMultipartUpload knows If-Match, and an upload that is gone is an error and no crash."""
    found = response.backend.get_object(bucket_name, key_name)
    is_done = found is not None and found.multipart and found.multipart.id == upload_id
    if not is_done and upload_id not in response.backend.get_bucket(bucket_name).multiparts:
        raise NoSuchUpload(upload_id)
    wanted = request.headers.get("If-Match")
    if wanted and not is_done:
        if found is None:
            raise MissingKey
        if wanted.strip('"') != found.etag.strip('"'):
            raise PreconditionFailed("If-Match")


def patch_policies():
    """Every request counts as made over TLS: moto reads no Bool condition, so a TLS-only policy refuses everybody."""
    is_action_permitted = IAMPolicyStatement.is_action_permitted

    def is_action_permitted_over_tls(self, *arguments, **named):
        condition = (self._statement.get("Condition") or {}).get("Bool") or {}
        is_tls_rule = str(condition.get("aws:SecureTransport")).lower() == "false"
        if self._statement.get("Effect") == "Deny" and is_tls_rule:
            return PermissionResult.NEUTRAL
        return is_action_permitted(self, *arguments, **named)

    IAMPolicyStatement.is_action_permitted = is_action_permitted_over_tls


def patch_athena():
    """Terraform reads the tags of an untagged workgroup, changes workgroups and deletes named queries."""
    get_named_query = AthenaResponse.get_named_query

    def list_tags_for_resource(self):
        tags = self.athena_backend.list_tags_for_resource(self._get_param("ResourceARN"))
        return json.dumps(tags or {"Tags": []})

    def update_work_group(self):
        group = self.athena_backend.work_groups.get(self._get_param("WorkGroup"))
        if group is None:
            return self.error("WorkGroup is not found.", 400)
        group.description = self._get_param("Description") or group.description
        group.state = self._get_param("State") or group.state
        merge_configuration(group.configuration, self._get_param("ConfigurationUpdates") or {})
        return "{}"

    def delete_named_query(self):
        self.athena_backend.named_queries.pop(self._get_param("NamedQueryId"), None)
        return "{}"

    def get_named_query_or_error(self):
        if self.athena_backend.get_named_query(self._get_param("NamedQueryId")) is None:
            return self.error("NamedQuery is not found.", 400)
        return get_named_query(self)

    AthenaResponse.list_tags_for_resource = list_tags_for_resource
    AthenaResponse.update_work_group = update_work_group
    AthenaResponse.delete_named_query = delete_named_query
    AthenaResponse.get_named_query = get_named_query_or_error


def merge_configuration(configuration, updates):
    """ConfigurationUpdates of UpdateWorkGroup: `RemoveX: true` takes X away, anything else is set."""
    for name, value in updates.items():
        if name == "ResultConfigurationUpdates":
            merge_configuration(configuration.setdefault("ResultConfiguration", {}), value)
        elif not name.startswith("Remove"):
            configuration[name] = value
        elif value:
            configuration.pop(name.removeprefix("Remove"), None)


def patch_glue():
    """Column statistics, without which Trino creates no table; UpdateTable's VersionId, the lock that publishing hangs on."""
    statistics = {}

    def held(parameters):
        key = (parameters["DatabaseName"], parameters["TableName"], tuple(parameters.get("PartitionValues") or ()))
        return statistics.setdefault(key, {})

    def get_statistics(self):
        known = held(self.parameters)
        found = [known[name] for name in self.parameters["ColumnNames"] if name in known]
        return ActionResult({"ColumnStatisticsList": found, "Errors": []})

    def update_statistics(self):
        held(self.parameters).update({entry["ColumnName"]: entry for entry in self.parameters["ColumnStatisticsList"]})
        return ActionResult({"Errors": []})

    def delete_statistics(self):
        held(self.parameters).pop(self.parameters["ColumnName"], None)
        return EmptyResult()

    for kind in ("table", "partition"):
        setattr(GlueResponse, f"get_column_statistics_for_{kind}", get_statistics)
        setattr(GlueResponse, f"update_column_statistics_for_{kind}", update_statistics)
        setattr(GlueResponse, f"delete_column_statistics_for_{kind}", delete_statistics)

    update_table = GlueResponse.update_table

    def update_table_of_version(self):
        wanted = self.parameters.get("VersionId")
        with GLUE_WRITES:
            if wanted is not None:
                name = self.parameters["TableInput"]["Name"]
                table = self.glue_backend.get_table(self.parameters.get("DatabaseName"), name)
                if str(table._current_version) != str(wanted):
                    raise JsonRESTError("ConcurrentModificationException", "the table has another version by now")
            return update_table(self)

    GlueResponse.update_table = update_table_of_version

    as_dict, get_partitions = FakeTable.as_dict, FakeTable.get_partitions

    def as_dict_with_buckets(self, version=None):
        table = copy.deepcopy(as_dict(self, version))
        table.get("StorageDescriptor", {}).setdefault("NumberOfBuckets", 0)
        return table

    FakeTable.as_dict = as_dict_with_buckets
    FakeTable.get_partitions = lambda self, expression: get_partitions(self, expression or None)


# Of one request: docs.aws.amazon.com/glue/latest/webapi (API_BatchCreatePartition and its neighbours, API_GetPartitions, API_GetTables).
BATCHES = {
    "batch_create_partition": ("PartitionInputList", 100),
    "batch_update_partition": ("Entries", 100),
    "batch_delete_partition": ("PartitionsToDelete", 25),
    "batch_get_partition": ("PartitionsToGet", 1000),
    "batch_delete_table": ("TablesToDelete", 100),
}
LISTS = {"get_partitions": ("Partitions", 1000), "get_tables": ("TableList", 100)}
EXPRESSION_MAX_CHARS = 2048


def patch_glue_limits():
    """Batches and pages have their limits; a partition has a value for each key of its table, and keeps its values when it changes."""
    for name, (items, most) in BATCHES.items():
        setattr(GlueResponse, name, limited(getattr(GlueResponse, name), items, most))
    for name, (items, most) in LISTS.items():
        setattr(GlueResponse, name, paged(getattr(GlueResponse, name), items, most))


def limited(operation, items, most):
    def within_limits(self):
        given = self.parameters.get(items) or []
        if len(given) > most:
            refuse(f"Value at '{items}' failed to satisfy constraint: Member must have length less than or equal to {most}")
        if items in ("PartitionInputList", "Entries"):
            for entry in given:
                check_partition(self, entry.get("PartitionInput", entry), entry.get("PartitionValueList"))
        with GLUE_WRITES:
            return operation(self)

    return within_limits


def check_partition(response, wanted, known_values):
    table = response.glue_backend.get_table(response.parameters["DatabaseName"], response.parameters["TableName"])
    keys = table.as_dict().get("PartitionKeys") or []
    if len(wanted.get("Values") or []) != len(keys):
        refuse("The number of partition keys do not match the number of partition values")
    if known_values is not None and known_values != wanted["Values"]:
        refuse("The values of a partition cannot be changed")
    if not (wanted.get("StorageDescriptor") or {}).get("SerdeInfo"):
        # Glue takes it, and then every question on the table ends in a NullPointerException.
        refuse("A partition without SerdeInfo cannot be read")


def paged(operation, items, most):
    def page_of(self):
        wanted = int(self.parameters.get("MaxResults") or most)
        if wanted > most:
            refuse(f"Value at 'MaxResults' failed to satisfy constraint: Member must have value less than or equal to {most}")
        if len(self.parameters.get("Expression") or "") > EXPRESSION_MAX_CHARS:
            refuse(f"Value at 'Expression' must have length less than or equal to {EXPRESSION_MAX_CHARS}")
        with GLUE_WRITES:
            answer = operation(self).result
        start = int(self.parameters.get("NextToken") or 0)
        page = answer[items][start : start + wanted]
        if items == "TableList":
            # Not to be relied on in a listing: nobody may lock by it.
            page = [{name: value for name, value in table.items() if name != "VersionId"} for table in page]
        if self.parameters.get("ExcludeColumnSchema"):
            page = [{**each, "StorageDescriptor": without_columns(each)} for each in page]
        more = {"NextToken": str(start + wanted)} if start + wanted < len(answer[items]) else {}
        return ActionResult({**answer, items: page, **more})

    return page_of


def without_columns(partition):
    return {name: value for name, value in partition.get("StorageDescriptor", {}).items() if name != "Columns"}


def refuse(message):
    raise JsonRESTError("InvalidInputException", message)


def patch_step_functions():
    """Terraform has each definition checked while it plans; moto knows no such call, but has a parser of the language."""

    def validate_state_machine_definition(self):
        try:
            AmazonStateLanguageParser.parse(self._get_param("definition"))
        except ASLParserException as error:
            fault = {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": str(error)}
            return ActionResult({"result": "FAIL", "diagnostics": [fault]})
        return ActionResult({"result": "OK", "diagnostics": []})

    StepFunctionResponse.validate_state_machine_definition = validate_state_machine_definition
    # No version is ever published here.
    StepFunctionResponse.list_state_machine_versions = lambda self: ActionResult({"stateMachineVersions": []})


def patch_queues():
    """A queue's redrive policy comes back as it was given, without blanks: Terraform would see a change in each."""
    attributes = Queue.attributes.fget

    def as_given(self):
        found = attributes(self)
        if found.get("RedrivePolicy"):
            found["RedrivePolicy"] = json.dumps(json.loads(found["RedrivePolicy"]), separators=(",", ":"))
        return found

    Queue.attributes = property(as_given)
    # The tests deliver messages to functions themselves: moto would start containers for it, and drop what they do not take.
    Queue.lambda_event_source_mappings = property(lambda self: {}, lambda self, mappings: None)


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        pass


def end_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    # Every account has AWS's own policies.
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    patch_s3()
    patch_policies()
    patch_athena()
    patch_glue()
    patch_glue_limits()
    patch_queues()
    patch_step_functions()
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    print(server.port, flush=True)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
