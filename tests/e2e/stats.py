"""The public client of the recording usage interface, unchanged, against this server.

    python3 stats.py http://127.0.0.1:8080 KEY_ID KEY_SECRET

Needs from PyPI: huaweicloudsdklive. It signs with SDK-HMAC-SHA256.
"""
import json
import sys
import urllib.request

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdklive.v2 import ListRecordDataRequest, LiveClient


def client(endpoint, key_id, secret, project):
    return LiveClient.new_builder().with_credentials(BasicCredentials(key_id, secret, project)).with_endpoint(endpoint).build()


def refused(status, code, call):
    try:
        call()
    except ClientRequestException as error:
        assert (error.status_code, error.error_code) == (status, code), (error.status_code, error.error_code, error.error_msg)
        assert error.request_id, "the request has no id"
        return
    raise AssertionError(f"{code} is not told")


def main():
    endpoint, key_id, secret = sys.argv[1:4]
    own = client(endpoint, key_id, secret, "operator")
    rows = own.list_record_data(ListRecordDataRequest()).record_data_list
    assert len(rows) == 25 and all(row.concurrent_count == 0 for row in rows), rows
    assert rows[0].time.endswith(":00:00Z"), rows[0]
    first, last = rows[-3].time, rows[-2].time
    two = own.list_record_data(ListRecordDataRequest(start_time=first, end_time=last)).record_data_list
    assert [row.time for row in two] == [first, last], two
    refused(400, "LIVE.100011001", lambda: own.list_record_data(ListRecordDataRequest(start_time=last, end_time=first)))
    refused(400, "LIVE.100011001", lambda: own.list_record_data(ListRecordDataRequest(start_time="2020-08-18T07:00:00Z", end_time="2020-08-18T08:00:00Z")))
    refused(401, "LIVE.100011003", lambda: client(endpoint, key_id, "wrong", "operator").list_record_data(ListRecordDataRequest()))
    refused(401, "LIVE.100011003", lambda: client(endpoint, "nobody", secret, "operator").list_record_data(ListRecordDataRequest()))
    refused(400, "LIVE.100011001", lambda: client(endpoint, key_id, secret, "no-such-project").list_record_data(ListRecordDataRequest()))

    # The other way: a token.
    identity = {"methods": ["hw_ak_sk"], "hw_ak_sk": {"access": {"key": key_id}, "secret": {"key": secret}}}
    body = json.dumps({"auth": {"identity": identity}}).encode()
    request = urllib.request.Request(f"{endpoint}/v3/auth/tokens", data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        token = answer.headers["X-Subject-Token"]
    request = urllib.request.Request(f"{endpoint}/v2/operator/stats/record", headers={"X-Auth-Token": token})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert len(json.load(answer)["record_data_list"]) == 25
        assert answer.headers["X-request-id"]
    print("stats: ok")


if __name__ == "__main__":
    main()
