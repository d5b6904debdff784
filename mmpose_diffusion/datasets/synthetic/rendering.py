"""Draws a scene: faces sorted by depth, far to near, with shading and shadows.

People are drawn at twice the size of the picture and shrunk, which smooths all edges alike. The fourth channel of the
large picture records who was drawn last at each pixel: the truth about occlusion costs nothing.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .backdrop import Backdrop
from .labels import BYSTANDER, NOTHING, OBJECT, OVERSAMPLING, person_label
from .scene import Scene
from .skeleton import BONE, SIDES

SHIFT = 4  # binary places of sub-pixel coordinates in OpenCV's drawing functions
NEAREST = 0.3  # metres; faces nearer to the camera are not drawn


@dataclass
class RenderedFrame:
    """One moment as drawn."""

    picture: np.ndarray  # uint8 [H, W, 3] BGR
    labels: np.ndarray  # uint8 [2H, 2W]
    vertices: list[np.ndarray]  # of each person: pixels [V, 2] of the mesh


class SceneRenderer:
    """Draws the moments of one scene; what does not change is prepared once."""

    def __init__(self, scene: Scene, backdrop: Backdrop) -> None:
        self.scene, self.backdrop = scene, backdrop
        self.performers = scene.people + scene.bystanders
        starts = np.cumsum([0] + [len(person.mesh.bones) for person in self.performers])
        faces = [person.mesh.faces + start for person, start in zip(self.performers, starts, strict=False)]
        colours = [person.mesh.colours for person in self.performers]
        labels = [person_label(index, person.mesh.parts) for index, person in enumerate(scene.people)]
        labels += [np.full(len(person.mesh.faces), BYSTANDER) for person in scene.bystanders]
        nearness = [person.mesh.nearness for person in self.performers]
        self.people_vertices = int(starts[-1])
        self.person_starts = starts
        self.prop_vertices = np.zeros((0, 3))
        if scene.props:
            corners = np.concatenate([prop.corners for prop in scene.props])
            self.prop_vertices = corners.reshape(-1, 3)
            faces.append(self.people_vertices + np.arange(4 * len(corners)).reshape(-1, 4))
            colours.append(np.concatenate([prop.colours for prop in scene.props]))
            labels.append(np.full(len(corners), OBJECT))
            nearness.append(np.zeros(len(corners)))
        self.faces, self.colours = np.concatenate(faces), np.concatenate(colours)
        self.labels, self.nearness = np.concatenate(labels).astype(float), np.concatenate(nearness)

    def draw(self, index: int) -> RenderedFrame:
        """The scene at time `index`."""
        camera = self.scene.camera.at(np.array([index]))
        world = self._vertices(index)
        pixels, depth = (values[0] for values in camera.project(world[None]))
        picture = self._shadowed(self.backdrop.draw(self.scene.camera, index), index)
        large = np.empty((*picture.shape[:2], 4), np.uint8)
        large[..., :3] = picture
        large[..., 3] = NOTHING
        size = (OVERSAMPLING * camera.size[0], OVERSAMPLING * camera.size[1])
        large = cv2.resize(large, size, interpolation=cv2.INTER_NEAREST)
        self._draw_faces(large, world, pixels, depth)
        small = cv2.resize(large, camera.size, interpolation=cv2.INTER_AREA)
        starts = self.person_starts
        outlines = [pixels[starts[k] : starts[k + 1]] for k in range(len(self.performers))]
        return RenderedFrame(np.ascontiguousarray(small[..., :3]), large[..., 3].copy(), outlines)

    def _vertices(self, index: int) -> np.ndarray:
        """All vertices in the world, [V, 3]."""
        now = slice(index, index + 1)
        people = [
            person.mesh.pose(person.pose.rotations[now], person.pose.origins[now])[0] for person in self.performers
        ]
        return np.concatenate([*people, self.prop_vertices])

    def _draw_faces(self, large: np.ndarray, world: np.ndarray, pixels: np.ndarray, depth: np.ndarray) -> None:
        """Draw all faces that look at the camera into `large` [2H, 2W, 4]."""
        height, width = large.shape[0] / OVERSAMPLING, large.shape[1] / OVERSAMPLING
        corners = pixels.astype(np.float32)[self.faces]  # [F, 4, 2]
        first, second = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
        facing = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
        x, y = pixels.T
        drawable = (depth > NEAREST) & (x > -width) & (x < 2 * width) & (y > -height) & (y < 2 * height)
        inside = (x > -9) & (x < width + 9) & (y > -9) & (y < height + 9)
        whole = _of_all_corners(drawable, self.faces) & ~_of_all_corners(~inside, self.faces)
        seen = np.flatnonzero(facing & whole)
        face_depth = depth[self.faces[seen]] @ np.full(4, 0.25)
        far_to_near = seen[np.argsort(self.nearness[seen] - face_depth, kind='stable')]
        colours = np.column_stack([self._shade(world, far_to_near), self.labels[far_to_near]]).tolist()
        places = (corners[far_to_near] * OVERSAMPLING + 0.5 * (OVERSAMPLING - 1)) * (1 << SHIFT)
        for place, colour in zip(np.round(places).astype(np.int32), colours, strict=True):
            cv2.fillConvexPoly(large, place, colour, cv2.LINE_8, SHIFT)

    def _shade(self, world: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Colours [F, 3] of the chosen faces in the light of the scene."""
        corners = world[self.faces[chosen]]
        normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        light = self.scene.light
        # A little light from the sky, so that faces turned away from the lamp are not flat.
        strength = light.ambient + 0.12 * normal[:, 2] + light.diffuse * np.maximum(normal @ light.direction, 0.0)
        return np.clip(self.colours[chosen] * strength[:, None] * light.colour, 0, 255)

    def _shadowed(self, picture: np.ndarray, index: int) -> np.ndarray:
        """Darken the ground where people keep the light away: their limbs, laid down along the light."""
        camera = self.scene.camera.at(np.array([index]))
        scale = 4
        mask = np.zeros((picture.shape[0] // scale + 1, picture.shape[1] // scale + 1), np.uint8)
        direction = self.scene.light.direction
        lines = []
        for person in self.performers:
            origins = person.pose.origins[index]
            fallen = origins - direction * (origins[:, 2:] / direction[2])
            lines.append(np.stack([fallen[SHADOW_BONES[:, 0]], fallen[SHADOW_BONES[:, 1]]], axis=1))
        pixels, depth = camera.project(np.concatenate(lines)[None])
        near = depth[0] > 1.0
        widths = SHADOW_WIDTHS[np.arange(len(pixels[0])) % len(SHADOW_BONES)]
        thickness = np.maximum(widths * camera.focal / np.maximum(depth[0].mean(axis=1), 1.0) / scale, 1)
        ends = np.clip(np.round(pixels[0] * (1 << SHIFT) / scale), -1e6, 1e6).astype(np.int32)
        for (start, end), wide, visible in zip(ends.tolist(), thickness.astype(int).tolist(), near, strict=True):
            if visible.all():
                cv2.line(mask, start, end, 110, wide, cv2.LINE_8, SHIFT)
        mask = cv2.resize(cv2.blur(mask, (3, 3)), None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        kept = cv2.cvtColor(255 - mask[: picture.shape[0], : picture.shape[1]], cv2.COLOR_GRAY2BGR)
        return cv2.multiply(picture, kept, scale=1 / 255)


def _of_all_corners(of_vertex: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Whether something [V] holds for all four corners of each face [F]."""
    holds = of_vertex[faces]
    return holds[:, 0] & holds[:, 1] & holds[:, 2] & holds[:, 3]


SHADOW_BONES = np.array(
    [[BONE['pelvis'], BONE['chest']], [BONE['chest'], BONE['neck']], [BONE['neck'], BONE['head']]]
    + [
        [BONE[f'{side}_{first}'], BONE[f'{side}_{second}']]
        for side in SIDES
        for first, second in (
            ('upper_arm', 'forearm'), ('forearm', 'hand'), ('thigh', 'shin'), ('shin', 'foot'),
        )
    ]
)  # fmt: skip
SHADOW_WIDTHS = np.array([0.3, 0.32, 0.18] + [0.09, 0.07, 0.14, 0.1] * 2)
