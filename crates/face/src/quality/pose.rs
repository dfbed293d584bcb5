//! How the head is held, from the five points that every model gives.

use crate::detect::Points;

/// Where the points lie on a mean head that looks at the camera, in distances between the eyes: x to the
/// image's right, y down, z towards the camera. x and y are the means of faces that alignment uses; the depths
/// are those of an adult head (the nose's tip stands about 34 mm before the centres of the eyes, which are
/// 63 mm apart; the corners of the mouth about 8 mm).
const HEAD: [[f64; 3]; 5] = [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.571, 0.54], [-0.415, 1.155, 0.12], [0.415, 1.155, 0.12]];

/// Degrees, without sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pose {
    pub(super) yaw: f64,
    pub(super) pitch: f64,
    pub(super) roll: f64,
}

type Vector = [f64; 3];

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn unit(a: Vector) -> Option<Vector> {
    let length = dot(a, a).sqrt();
    (length > 1e-9).then(|| a.map(|v| v / length))
}

/// Fits the mean head under scaled orthographic projection: the two rows of the projection by least squares,
/// made perpendicular, are the first two rows of the rotation (DeMenthon and Davis 1995, one step of POS).
/// None if the points coincide.
pub(super) fn pose(points: &Points) -> Option<Pose> {
    let image = [points.left_eye, points.right_eye, points.nose, points.left_mouth, points.right_mouth];
    let n = HEAD.len() as f64;
    let mean = HEAD.iter().fold([0.0; 3], |s, p| [s[0] + p[0] / n, s[1] + p[1] / n, s[2] + p[2] / n]);
    let (mx, my) = image.iter().fold((0.0, 0.0), |s, p| (s.0 + p.x / n, s.1 + p.y / n));
    let (mut normal, mut across, mut down) = ([[0.0; 3]; 3], [0.0; 3], [0.0; 3]);
    for (p, q) in HEAD.iter().zip(image) {
        let p = [p[0] - mean[0], p[1] - mean[1], p[2] - mean[2]];
        for i in 0..3 {
            (0..3).for_each(|j| normal[i][j] += p[i] * p[j]);
            across[i] += p[i] * (q.x - mx);
            down[i] += p[i] * (q.y - my);
        }
    }
    // The inverse of a symmetric matrix: its rows' cross products over its determinant.
    let inverse = [cross(normal[1], normal[2]), cross(normal[2], normal[0]), cross(normal[0], normal[1])];
    let determinant = dot(normal[0], inverse[0]);
    let solve = |v: Vector| inverse.map(|row| dot(row, v) / determinant);
    let first = unit(solve(across))?;
    let second = solve(down);
    let shared = dot(first, second);
    let second = unit([second[0] - shared * first[0], second[1] - shared * first[1], second[2] - shared * first[2]])?;
    let third = cross(first, second);

    let roll = (points.right_eye.y - points.left_eye.y).atan2(points.right_eye.x - points.left_eye.x);
    // Where the nose points, with the tilt undone.
    let (x, y, z) = (first[2], second[2], third[2]);
    let (x, y) = (roll.cos() * x + roll.sin() * y, -roll.sin() * x + roll.cos() * y);
    let (yaw, pitch) = (x.atan2(z), y.atan2(x.hypot(z)));
    let [yaw, pitch, roll] = [yaw, pitch, roll].map(|v| v.to_degrees().abs());
    [yaw, pitch, roll].iter().all(|v| v.is_finite()).then_some(Pose { yaw, pitch, roll })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;

    /// The mean head, turned, nodded and tilted, at 50 pixels between the eyes.
    fn seen(yaw: f64, pitch: f64, roll: f64) -> Points {
        let [(sy, cy), (sp, cp), (sr, cr)] = [yaw, pitch, roll].map(|v: f64| v.to_radians().sin_cos());
        let [left_eye, right_eye, nose, left_mouth, right_mouth] = HEAD.map(|[x, y, z]| {
            let (x, z) = (cy * x + sy * z, cy * z - sy * x);
            let (y, _) = (cp * y + sp * z, cp * z - sp * y);
            Point { x: 200.0 + 50.0 * (cr * x - sr * y), y: 100.0 + 50.0 * (sr * x + cr * y) }
        });
        Points { left_eye, right_eye, nose, left_mouth, right_mouth }
    }

    #[test]
    fn a_head_that_is_turned_raised_or_tilted_is_measured_so() {
        for (yaw, pitch, roll) in [(0.0, 0.0, 0.0), (35.0, 0.0, 0.0), (-35.0, 0.0, 20.0), (0.0, 25.0, 0.0), (0.0, -25.0, -40.0)] {
            let found = pose(&seen(yaw, pitch, roll)).unwrap();
            for (found, true_value) in [(found.yaw, yaw), (found.pitch, pitch), (found.roll, roll)] {
                assert!((found - f64::abs(true_value)).abs() < 0.01, "{yaw} {pitch} {roll}: {found}");
            }
        }
        // Both at once: the slope of the eyes is then not all tilt, so within a few degrees.
        let both = pose(&seen(30.0, 20.0, 0.0)).unwrap();
        assert!((both.yaw - 30.0).abs() < 6.0 && (both.pitch - 20.0).abs() < 6.0, "{both:?}");
    }

    #[test]
    fn points_that_coincide_have_no_pose() {
        let p = Point { x: 3.0, y: 3.0 };
        assert_eq!(pose(&Points { left_eye: p, right_eye: p, nose: p, left_mouth: p, right_mouth: p }), None);
    }
}
