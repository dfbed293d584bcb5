#!/usr/bin/env bash
# Builds build/deb/countersign_VERSION_ARCH.deb: the binary, ONNX Runtime, the bundled model pack, a
# configuration, systemd units, and the licences of all of it.
#   PROFILE=release (default) or dev, which packs the unoptimised build, for trying the packaging.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PROFILE=${PROFILE:-release}

version=$(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(next(p["version"] for p in json.load(sys.stdin)["packages"] if p["name"] == "countersign"))')
arch=$(dpkg --print-architecture)
# One build makes one package: its files carry the time of the commit, not of the build.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

root=build/deb/root
out=build/deb/countersign_${version}_${arch}.deb
rm -rf "$root" "$out"

if [ "$PROFILE" = dev ]; then built=debug; else built=$PROFILE; fi
tools/setup/step.sh "build ($PROFILE)" cargo build --locked --profile "$PROFILE" -p countersign
tools/setup/step.sh "licences" python3 tools/setup/licences.py build/THIRD-PARTY.txt

umask 022
doc=$root/usr/share/doc/countersign
put() { install -D -m "$1" "$2" "$root/$3"; }
put 755 "$(tools/setup/binary.sh "$built")" usr/bin/countersign
strip --strip-debug "$root/usr/bin/countersign"
put 644 build/onnxruntime/libonnxruntime.so usr/lib/countersign/libonnxruntime.so
for file in build/packs/bundled/*; do
    put 644 "$file" "usr/share/countersign/packs/bundled/$(basename "$file")"
done
# The photographs beside the pack belong to the demo and are not installed.
sed -i '/^samples = /d' "$root/usr/share/countersign/packs/bundled/manifest.toml"
put 644 packaging/config.toml etc/countersign/config.toml
put 644 packaging/countersign.service usr/lib/systemd/system/countersign.service
put 644 packaging/countersign-witness.service usr/lib/systemd/system/countersign-witness.service
put 644 packaging/copyright usr/share/doc/countersign/copyright
put 644 build/THIRD-PARTY.txt usr/share/doc/countersign/THIRD-PARTY.txt
put 644 CHANGELOG.md usr/share/doc/countersign/changelog
gzip -9n "$doc/THIRD-PARTY.txt" "$doc/changelog"

# What the shared libraries need, as Debian names it.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/debian"
printf 'Source: countersign\n\nPackage: countersign\nArchitecture: any\n' >"$scratch/debian/control"
absolute=$PWD/$root
libraries=$(cd "$scratch" && dpkg-shlibdeps -O "$absolute/usr/bin/countersign" "$absolute/usr/lib/countersign/libonnxruntime.so" 2>"$scratch/shlibdeps.log") ||
    { cat "$scratch/shlibdeps.log" >&2; exit 1; }
libraries=${libraries#shlibs:Depends=}

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: countersign
Version: $version
Architecture: $arch
Maintainer: The Countersign contributors <countersign@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: adduser, $libraries
Section: misc
Priority: optional
Description: facial image search requests, from the form to the record
 Receives requests from police to search a gallery of facial images, decides
 whether each may be searched, searches exactly, has two people confirm every
 match blind, answers, and keeps a record that an outsider can check.
END
echo /etc/countersign/config.toml >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "packaging/$script" "$root/DEBIAN/$script"
done
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

tools/setup/step.sh "package" dpkg-deb --root-owner-group -Zxz --build "$root" "$out"
rm -rf "$root"
dpkg-deb --info "$out" | sed -n 's/^ \(Package\|Version\|Depends\|Installed-Size\)/    \1/p'
echo "deb: $out ($(du -h "$out" | cut -f1))"
