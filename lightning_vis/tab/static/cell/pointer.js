// Where a pointer, a finger or the arrows point to in a picture: { x, y }, shares of its width and height.

const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

// `onPoint` is told the place, null once a pointer has left. What a finger or the arrows point to stays, and is marked: nothing lies there.
export function pointing(onPoint, onMove) {
  const point = ({ offsetX, offsetY, pointerType, currentTarget }) => (
    onPoint({ x: offsetX / currentTarget.clientWidth, y: offsetY / currentTarget.clientHeight, isMarked: pointerType === "touch" })
  );
  return {
    onpointermove: point, onpointerdown: point, onpointerleave: ({ pointerType }) => pointerType === "touch" || onPoint(null),
    onkeydown: (event) => {
      const way = WAYS[event.key];
      if (!way || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation(); // elsewhere arrows go through the film
      onMove(way);
    },
  };
}

// The middle of a cell of a map: of the one beside a place, or of the map's own middle.
export function beside(place, { width, height }, [right, down]) {
  if (!place) return middleOf(width >> 1, height >> 1, width, height);
  const moved = (share, cells, by) => Math.min(cells - 1, Math.max(0, Math.floor(share * cells) + by));
  return middleOf(moved(place.x, width, right), moved(place.y, height, down), width, height);
}

function middleOf(column, row, width, height) {
  return { x: (column + 0.5) / width, y: (row + 0.5) / height, isMarked: true };
}

// Frames the cell of a map in which a place lies.
export function frame(spot, place, map) {
  spot.hidden = !(place?.isMarked && map);
  if (spot.hidden) return;
  const [column, row] = [Math.floor(place.x * map.width), Math.floor(place.y * map.height)];
  Object.assign(spot.style, { left: `${(100 * column) / map.width}%`, top: `${(100 * row) / map.height}%`, width: `${100 / map.width}%`, height: `${100 / map.height}%` });
}
