"""LTI: platforms, and courses with their rosters and grades; hubless's own, JupyterHub has no such paths."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Security
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import MaybeActor
from functions.api.auth.scope_checks import OUT_OF_REACH, holds_everywhere, holds_for, require
from functions.api.dependencies import Users, WholeHub
from functions.api.json_codec import JSONResponse
from functions.api.provider_pool import in_provider_pool
from functions.api.routers import api_router, problems
from functions.api.serializers import instant
from hubless.domain.audit import Act
from hubless.domain.errors import InvalidRequestError
from hubless.services.identity import Actor

if TYPE_CHECKING:
    from hubless.domain.lti_courses import Course
    from hubless.domain.lti_platforms import LtiPlatform

router = api_router("/lti", tag="lti")
GRADES = "custom:lti:grades"


class _CourseInPath:
    """Gives the course whose group is in the path, if the actor holds *scope* for that group."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request, actor: MaybeActor, hub: WholeHub) -> Any:
        known, name = require(actor, self.scope), request.path_params["name"]
        if not known.scopes.covers_group(self.scope, name):
            raise HTTPException(404, OUT_OF_REACH)
        course = hub.lti_store.course_of_group(name)
        if course is None:
            raise HTTPException(404, f"No course has the group {name[:60]}")
        return course


def _course(scope: str) -> Any:
    return Security(_CourseInPath(scope), scopes=[scope])


Operator = Annotated[Actor, holds_everywhere("admin:users")]
ReadCourse = Annotated[Any, _course("read:groups")]
ChangedCourse = Annotated[Any, _course("groups")]
GradedCourse = Annotated[Any, _course(GRADES)]


@router.get("/platforms", response_model=list[schemas.LtiPlatform])
async def list_platforms(_actor: Operator, hub: WholeHub) -> Response:
    """List the LMS whose users may log in."""
    from_settings = {platform.name for platform in hub.settings.lti_platforms}
    return JSONResponse([_platform_model(one, from_settings) for one in hub.lti.platforms.all()])


@router.delete("/platforms/{name:segment}", status_code=204)
async def remove_platform(request: Request, _actor: Operator, name: str, hub: WholeHub) -> Response:
    """Remove an LMS that registered itself; its users and courses stay."""
    hub.lti.platforms.remove(name)
    record(request, Act.LMS_REMOVED, name)
    return Response(status_code=204)


@router.post("/registrations", status_code=201, response_model=schemas.LtiRegistration)
async def allow_registration(request: Request, _actor: Operator, hub: WholeHub) -> Response:
    """Return a link with which one LMS may register itself, once and within a day."""
    from functions.api.lti_tickets import REGISTRATION_LIFETIME, new_registration_key  # noqa: PLC0415 an admin asks once

    url = f"{hub.settings.url}/hub/lti/register?key={new_registration_key(hub.key)}"
    record(request, Act.LMS_LINK_MADE)
    return JSONResponse({"url": url, "expires_at": instant(hub.clock.now() + REGISTRATION_LIFETIME)}, 201)


@router.get("/courses", response_model=list[schemas.LtiCourse])
async def list_courses(actor: Annotated[Actor, holds_for("list:groups", "group")], hub: WholeHub) -> Response:
    """List the courses whose groups the asker may list."""
    reach = None if actor.scopes.has_everywhere("list:groups") else sorted(actor.scopes.values("list:groups", "group"))
    return JSONResponse([_course_model(course) for course in hub.lti_store.courses(reach)])


@router.get("/courses/{name:segment}", response_model=schemas.LtiCourse)
async def read_course(course: ReadCourse) -> Response:
    """Return the course with this group."""
    return JSONResponse(_course_model(course))


@router.post("/courses/{name:segment}/roster", response_model=schemas.LtiRoster, responses=problems(502))
async def fill_course(request: Request, course: ChangedCourse, hub: WholeHub) -> Response:
    """Bring all people of the course, whom the LMS lists, into its groups; add those who are no users yet."""
    filled = await in_provider_pool(hub.lti.courses.fill, course)
    record(request, Act.GROUP_CHANGED, course.group, joined=str(filled.joined), left=str(filled.left))
    return JSONResponse(
        {
            "people": filled.people,
            "joined": filled.joined,
            "left": filled.left,
            "refused": filled.refused,
            "is_whole": filled.is_whole,
        }
    )


@router.get("/courses/{name:segment}/line-items", response_model=list[dict[str, Any]], responses=problems(502))
async def list_line_items(course: GradedCourse, hub: WholeHub) -> Response:
    """Return the columns of grades that the LMS shows to the hub, as it has them (AGS 2.0)."""
    return JSONResponse(await in_provider_pool(hub.lti.grades.line_items, course))


@router.post(
    "/courses/{name:segment}/line-items", status_code=201, response_model=dict[str, Any], responses=problems(413, 502)
)
async def create_line_item(course: GradedCourse, body: requests.NewLineItem, hub: WholeHub) -> Response:
    """Add a column of grades to the course, and return it as the LMS has it."""
    facts = {
        "label": body.label,
        "scoreMaximum": body.score_maximum,
        "resourceId": body.resource_id,
        "tag": body.tag,
        "resourceLinkId": body.resource_link_id,
    }
    item = {key: given for key, given in facts.items() if given not in {None, ""}}
    return JSONResponse(await in_provider_pool(hub.lti.grades.create_line_item, course, item), 201)


@router.get("/courses/{name:segment}/results", response_model=list[dict[str, Any]], responses=problems(502))
async def list_results(course: GradedCourse, hub: WholeHub, line_item: str = "") -> Response:
    """Return the results in the column whose address is `line_item`, as the LMS has them."""
    return JSONResponse(await in_provider_pool(hub.lti.grades.results, course, line_item))


@router.post("/courses/{name:segment}/scores", status_code=204, responses=problems(413, 502))
async def put_score(course: GradedCourse, body: requests.NewScore, hub: WholeHub, users: Users) -> Response:
    """Give a member of the course a score."""
    from hubless.services.lti_grades import Score  # noqa: PLC0415 only graders need it

    user = users.find(body.user)
    if user is None or course.group not in user.groups:
        raise InvalidRequestError(f"{body.user[:60]} is not in {course.group}")
    score = Score(body.score_given, body.score_maximum, body.comment, body.activity_progress, body.grading_progress)
    await in_provider_pool(hub.lti.grades.put_score, course, body.line_item, user, score)
    return Response(status_code=204)


def _platform_model(platform: "LtiPlatform", from_settings: set[str]) -> dict[str, Any]:
    return {
        "name": platform.name,
        "kind": platform.kind,
        "issuer": platform.issuer,
        "client_id": platform.client_id,
        "deployment_ids": list(platform.deployment_ids),
        "authorization_url": platform.authorization_url,
        "token_url": platform.token_url,
        "key_set_url": platform.key_set_url,
        "from_settings": platform.name in from_settings,
    }


def _course_model(course: "Course") -> dict[str, Any]:
    return {
        "group": course.group,
        "teachers_group": course.teachers_group,
        "title": course.title,
        "platform": course.platform,
        "context_id": course.context_id,
        "has_roster": bool(course.memberships_url),
        "has_grades": bool(course.line_items_url),
        "last_login": instant(course.seen_at),
    }
