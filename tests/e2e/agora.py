"""The public client of the cloud recording interface against this server: only its list of hosts is another.

    REQUESTS_CA_BUNDLE=cert.pem python3 agora.py HOST:PORT KEY_ID KEY_SECRET APPID CNAME

Needs from PyPI: agora-rest-client. Prints the names of the recorded files as a JSON list.
"""
import json
import os
import sys
import time

from agora_rest_client.core import domain
from agora_rest_client.core.exceptions import ServiceResponseException
from agora_rest_client.services.cloud_recording.v1 import api_acquire, api_query, api_start, api_stop, api_update_layout
from agora_rest_client.services.cloud_recording.v1.cloud_recording_client import CloudRecordingClient


def refused(code, call):
    try:
        call()
    except ServiceResponseException as error:
        assert error.error_code == code, error
        return
    raise AssertionError(f"{code} is not told")


def main():
    host, key_id, secret, app, cname = sys.argv[1:6]
    domain.Domain.select_best_domain = lambda self: setattr(self, "_domain_list", [host])
    client = CloudRecordingClient.new_builder().with_app_id(app).with_credential_basic_auth(key_id, secret)
    client = client.with_domain(domain.Domain(domain.EndpointRegion.CN.value)).build()
    uid = "527841"
    request = api_acquire.ClientRequest(region="CN", resourceExpiredHour=24)
    acquire = lambda: client.acquire(api_acquire.RequestBodyApiAcquire(cname=cname, uid=uid, clientRequest=request))  # noqa: E731
    refused(2, lambda: client.acquire(api_acquire.RequestBodyApiAcquire(cname=cname, uid="0", clientRequest=request)))
    refused(1013, lambda: client.acquire(api_acquire.RequestBodyApiAcquire(cname="no such channel", uid=uid, clientRequest=request)))
    resource = acquire().resourceId

    storage = api_start.StorageConfig(vendor=2, region=3, bucket="records", accessKey="key", secretKey="secret", fileNamePrefix=["dir1"])
    files = api_start.RecordingFileConfig(avFileType=["hls", "mp4"])
    config = api_start.RecordingConfig(channelType=0, streamTypes=2, maxIdleTime=30)
    body = api_start.RequestBodyApiStart(
        cname=cname, uid=uid, clientRequest=api_start.ClientRequest(recordingConfig=config, recordingFileConfig=files, storageConfig=storage)
    )
    start = lambda resource, mode="mix": client.start(api_start.RequestPathParamsApiStart(resource_id=resource, mode=mode), body)  # noqa: E731
    refused(2, lambda: start(resource, "web"))
    refused(1001, lambda: start("no-resource"))
    sid = start(resource).sid
    refused(7, lambda: start(resource))
    second = acquire().resourceId
    refused(53, lambda: start(second))
    time.sleep(6)

    at = dict(resource_id=resource, sid=sid, mode="mix")
    shown = client.query(api_query.RequestPathParamsApiQuery(**at))
    assert shown.serverResponse["status"] == 5 and shown.sid == sid, shown.serverResponse
    refused(1003, lambda: client.query(api_query.RequestPathParamsApiQuery(**{**at, "resource_id": second})))
    layout = api_update_layout.RequestBodyApiUpdateLayout(cname=cname, uid=uid, clientRequest=api_update_layout.ClientRequest())
    refused(2, lambda: client.update_layout(api_update_layout.RequestPathParamsApiUpdateLayout(**at), layout))
    end = api_stop.RequestBodyApiStop(cname=cname, uid=uid, clientRequest=api_stop.ClientRequest(async_stop=False))
    stopped = client.stop(api_stop.RequestPathParamsApiStop(**at), end)
    refused(49, lambda: client.stop(api_stop.RequestPathParamsApiStop(**at), end))
    names = [file["fileName"] for file in stopped.serverResponse["fileList"]]
    assert names and all(name.startswith(f"dir1/{sid}_{cname}") for name in names), names
    print(json.dumps(names))
    sys.stdout.flush()
    # The client leaves a thread behind that never ends.
    os._exit(0)


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
