#!/bin/sh
# Lays out FOLDER/foregrounds and FOLDER/backgrounds for photos.py and pretrained.py: birds and land mammals as cut-outs,
# photographs of leaves and of other things. Links only; the pictures belong to these packages of Debian:
#   apt-get install --no-install-recommends tuxpaint-stamps-default mate-backgrounds lomiri-wallpapers-16.04
set -eu
folder=${1:?usage: photo_folders.sh FOLDER}
stamps=/usr/share/tuxpaint/stamps/animals
pictures=/usr/share/backgrounds

photograph() { # KIND NAME...
    kind=$1 && shift
    for name in "$@"; do
        test -e "$pictures/$name.jpg" || { echo "$pictures/$name.jpg is missing: install the packages above" >&2; exit 1; }
        ln -sf -t "$folder/backgrounds/$kind" "$pictures/$name.jpg"
    done
}

mkdir -p "$folder/foregrounds/bird" "$folder/foregrounds/mammal" "$folder/backgrounds/leaves" "$folder/backgrounds/others"
find "$stamps/birds" -name '*.png' ! -path '*/cartoon/*' -exec ln -sf -t "$folder/foregrounds/bird" {} +
find "$stamps/mammals" -name '*.png' ! -path '*/cartoon/*' ! -path '*/toys/*' ! -path '*/aquatic/*' ! -name hedgehog.png \
    -exec ln -sf -t "$folder/foregrounds/mammal" {} +
photograph leaves mate/nature/Blinds mate/nature/GreenMeadow mate/nature/LadyBird mate/nature/RainDrops Dragonfly_by_Bolly
photograph others mate/nature/Aqua mate/nature/Storm mate/nature/Wood Bridge_by_Sander_Klootwijk picosdeeuropa_by_Aitzol_Berasategi
