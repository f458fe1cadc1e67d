"""ministack, put right in the three places where the tests need what AWS documents and it does otherwise.

- RunTask with a clientToken that was used before answers with the first call's result, or with a
  ConflictException that names its tasks if anything else in the request differs. (ministack starts another task.)
- StopTask answers at once. The task is STOPPED when its containers have ended, with the exit codes they ended
  with, after the stopTimeout of the task definition. (ministack says STOPPED with exit code 0, then stops them, and
  answers after that.)
- All that a container has written reaches its log. (ministack follows the output, and now and then misses what
  comes last without a line's end.)

Arguments and environment are ministack's own.
"""

import json
import threading

from docker.errors import APIError, NotFound
from ministack.app import main
from ministack.core.responses import error_response_json
from ministack.services import ecs

STOP_TIMEOUT = 30  # seconds, where the task definition has none

answers = {}
one_at_a_time = threading.Lock()
run_task, stop_task, mark_stopped = ecs._run_task, ecs._stop_task, ecs._mark_task_stopped


def run_task_once(data):
    token = data.get("clientToken")
    if not token:
        return run_task(data)
    key = (ecs.get_account_id(), ecs.get_region(), data.get("cluster"), token)
    asked = json.dumps(data, sort_keys=True)
    with one_at_a_time:
        first = answers.get(key)
        if first is None:
            answer = run_task(data)
            if answer[0] == 200:
                answers[key] = (asked, answer)
            return answer
    first_asked, answer = first
    if first_asked == asked:
        return answer
    tasks = [task["taskArn"] for task in json.loads(answer[2])["tasks"]]
    message = "The request conflicts with an earlier one with the same client token."
    return error_response_json("ConflictException", message, 400, extra={"resourceIds": tasks})


def stop_task_in_its_time(data):
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    task = ecs._resolve_task(data.get("task", ""), cluster)
    if task and "_stop_reason" in task:
        return answer_with(task)
    if not task or task["lastStatus"] != "RUNNING":
        return stop_task(data)
    task["_stop_reason"] = data.get("reason", "Task stopped by user")
    definition = ecs._task_defs.get(ecs._resolve_td_key(task["taskDefinitionArn"])) or {}
    graces = [c.get("stopTimeout", STOP_TIMEOUT) for c in definition.get("containerDefinitions", [])]
    scope = ecs.get_account_id(), ecs.get_region()
    threading.Thread(target=stop_containers, args=(task, max(graces, default=STOP_TIMEOUT), scope), daemon=True).start()
    return answer_with(task)


def stop_containers(task, grace, scope):
    gone = True
    for container in list(task["_docker_ids"]):
        try:
            ecs._get_docker().containers.get(container).stop(timeout=grace)
            gone = False
        except (NotFound, APIError):
            pass
    # Whoever watches the containers sees their ends; unless somebody has removed them.
    if gone:
        with ecs.request_scope(*scope):
            ecs._mark_task_stopped(task["taskArn"], task, task["_stop_reason"], "UserInitiated")


def mark_stopped_as_asked(task_arn, task, reason, stop_code, exit_code=None):
    if "_stop_reason" in task:
        reason, stop_code = task["_stop_reason"], "UserInitiated"
    return mark_stopped(task_arn, task, reason, stop_code, exit_code)


def forward_everything(container, config, account_id, region):
    with ecs.request_scope(account_id, region):
        if not ecs._ensure_awslogs_stream(config):
            return
        followed = b""
        try:
            for chunk in container.logs(stream=True, follow=True, stdout=True, stderr=True):
                followed += chunk
                emit(config, chunk)
            whole = container.logs(stdout=True, stderr=True)
            if whole.startswith(followed):
                emit(config, whole[len(followed):])
        except (NotFound, APIError):
            # Removed from behind; there is no more to read.
            pass


def emit(config, written):
    for line in written.decode("utf-8", errors="replace").splitlines():
        ecs._emit_awslogs_event(config, line)


def answer_with(task):
    return ecs.json_response({"task": {**ecs._sanitize(task), "desiredStatus": "STOPPED"}})


ecs._ACTION_MAP |= {"RunTask": run_task_once, "StopTask": stop_task_in_its_time}
ecs._mark_task_stopped = mark_stopped_as_asked
ecs._forward_awslogs = forward_everything
main()
